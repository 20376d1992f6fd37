import type { IDeployment } from 'kubernetes-models/apps/v1'
import type { IContainer, IEnvVar, IPodSpec, IProbe } from 'kubernetes-models/v1'

/** What both apps have in common, from their labels to what they may not do. */
export interface App {
  /** Also of its objects: `vision-queue-api`. */
  name: string
  image: string
  port: number
  env: IEnvVar[]
  resources: NonNullable<IContainer['resources']>
  /** How long its first start may take, in seconds. */
  startSeconds: number
  /** Before SIGTERM, in seconds. */
  pauseBeforeStopSeconds: number
  /** Over what a pod has besides. */
  podSpec?: Partial<IPodSpec>
}

export const labelsOf = (name: string): Record<string, string> => ({
  'app.kubernetes.io/name': name,
  'app.kubernetes.io/part-of': 'vision-queue',
})

/** SHUTDOWN_TIMEOUT_MS is 10 s; a process that is not done by then hands over and ends. */
const stopSeconds = 20

/**
 * A deployment without `replicas`: those are the autoscaler's, and an apply must not set them back. A pod that is new
 * comes before an old one goes.
 */
export function deployment(app: App): IDeployment {
  const labels = labelsOf(app.name)
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: app.name, labels },
    spec: {
      selector: { matchLabels: labels },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: { metadata: { labels }, spec: podSpec(app, labels) },
    },
  }
}

function podSpec(app: App, labels: Record<string, string>): IPodSpec {
  return {
    automountServiceAccountToken: false,
    // Else every service of the namespace becomes variables beside our settings.
    enableServiceLinks: false,
    terminationGracePeriodSeconds: app.pauseBeforeStopSeconds + stopSeconds,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 1000,
      runAsGroup: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: labels },
      },
    ],
    containers: [container(app)],
    ...app.podSpec,
  }
}

function container({ image, port, env, resources, startSeconds, pauseBeforeStopSeconds }: App): IContainer {
  const ask = (path: string): IProbe => ({ httpGet: { path, port: 'http' }, timeoutSeconds: 5 })
  return {
    name: 'main',
    image,
    ports: [{ name: 'http', containerPort: port }],
    env,
    resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    startupProbe: { ...ask('/health/live'), periodSeconds: 2, failureThreshold: Math.ceil(startSeconds / 2) },
    // Live says nothing of Redis: restarting everything because Redis is away would make it worse.
    livenessProbe: { ...ask('/health/live'), periodSeconds: 10, failureThreshold: 3 },
    readinessProbe: { ...ask('/health/ready'), periodSeconds: 5, failureThreshold: 2 },
    ...(pauseBeforeStopSeconds === 0
      ? {}
      : { lifecycle: { preStop: { exec: { command: ['sleep', String(pauseBeforeStopSeconds)] } } } }),
  }
}

/** A variable from a key of a secret. Secrets are made by hand, see docs/deploy.md. */
export function fromSecret(variable: string, name: string, key: string, optional = false): IEnvVar {
  return { name: variable, valueFrom: { secretKeyRef: { name, key, ...(optional ? { optional } : {}) } } }
}
