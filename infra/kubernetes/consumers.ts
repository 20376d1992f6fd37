import type { IScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1'
import type { IDeployment } from 'kubernetes-models/apps/v1'
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1'
import type { IContainer, IEnvVar, IPodSpec } from 'kubernetes-models/v1'

import { deployment, fromSecret, labelsOf } from './pod.ts'

/** Consumers on one kind of machine, for some of the models. Each class is scaled by itself. */
export interface DeviceClass {
  name: 'cpu' | 'cuda'
  image: string
  /** No model is in two classes: the work that it makes is one figure for all who serve it. */
  models: readonly string[]
  resources: NonNullable<IContainer['resources']>
  env: IEnvVar[]
  startSeconds: number
  mostReplicas: number
  podSpec?: Partial<IPodSpec>
}

export const deviceClasses: readonly DeviceClass[] = [
  {
    name: 'cpu',
    image: 'vision-queue-consumer',
    models: ['shapes-classify', 'shapes-vqa'],
    // A limit of CPU, because ENGINES=0 starts as many engines as it allows.
    resources: { requests: { cpu: '2', memory: '1Gi' }, limits: { cpu: '2', memory: '1Gi' } },
    env: [],
    startSeconds: 120,
    mostReplicas: 20,
  },
  {
    name: 'cuda',
    image: 'vision-queue-consumer-cuda',
    models: ['shapes-chat'],
    resources: {
      requests: { cpu: '2', memory: '8Gi', 'nvidia.com/gpu': '1' },
      limits: { cpu: '4', memory: '8Gi', 'nvidia.com/gpu': '1' },
    },
    // Set in the image, too; here for who reads this. No answer rather than a slow one.
    env: [
      { name: 'EXECUTION_PROVIDERS', value: 'cuda' },
      { name: 'REQUIRE_PROVIDER', value: 'cuda' },
      { name: 'ENGINES', value: '1' },
    ],
    // Reading a large model and warming it up takes minutes.
    startSeconds: 600,
    mostReplicas: 8,
    podSpec: { tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }] },
  },
]

export const consumerName = ({ name }: DeviceClass): string => `vision-queue-consumer-${name}`

export function consumerDeployment(device: DeviceClass): IDeployment {
  return deployment({
    name: consumerName(device),
    image: device.image,
    port: 9090,
    env: [
      { name: 'CONSUMER_HOST', value: '0.0.0.0' },
      { name: 'CONSUMER_PORT', value: '9090' },
      { name: 'MODELS', value: device.models.join(',') },
      fromSecret('REDIS_URL', 'vision-queue-redis', 'url'),
      fromSecret('ENGINE_REDIS_URL', 'vision-queue-redis', 'engine-url', true),
      fromSecret('METRICS_TOKEN', 'vision-queue-metrics', 'token'),
      ...device.env,
    ],
    resources: device.resources,
    startSeconds: device.startSeconds,
    // Nobody sends it requests.
    pauseBeforeStopSeconds: 0,
    ...(device.podSpec === undefined ? {} : { podSpec: device.podSpec }),
  })
}

export function consumerDisruptionBudget(device: DeviceClass): IPodDisruptionBudget {
  const labels = labelsOf(consumerName(device))
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: consumerName(device), labels },
    // Not minAvailable: the only one has to be able to move, and its jobs go to the next.
    spec: { selector: { matchLabels: labels }, maxUnavailable: 1 },
  }
}

/** In how many seconds what waits is to be done. Half a minute: a pod takes about so long to come. */
const backlogSeconds = 30
/** What part of a consumer's time is planned with. The rest is for seconds with more than the mean. */
const busyShare = 0.8
/** Over how long arrivals are counted. Four scrapes; a burst is in the backlog before that. */
const arrivalWindow = '1m'

/**
 * As many consumers as the work there is needs. The metric is their number, so each is to have 1 of it
 * (`metricType: AverageValue`: replicas = value / threshold).
 */
export function consumerScaling(device: DeviceClass, fewestReplicas: 0 | 1): IScaledObject {
  const name = consumerName(device)
  return {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: { name, labels: labelsOf(name) },
    spec: {
      scaleTargetRef: { name },
      minReplicaCount: fewestReplicas,
      maxReplicaCount: device.mostReplicas,
      pollingInterval: 10,
      cooldownPeriod: 300,
      advanced: {
        horizontalPodAutoscalerConfig: {
          behavior: {
            scaleUp: { stabilizationWindowSeconds: 0 },
            scaleDown: {
              stabilizationWindowSeconds: 300,
              policies: [{ type: 'Percent', value: 50, periodSeconds: 60 }],
            },
          },
        },
      },
      triggers: [
        {
          type: 'prometheus',
          metricType: 'AverageValue',
          metadata: {
            serverAddress: 'http://prometheus.monitoring:9090',
            query: workQuery(device),
            threshold: '1',
            // From none to one: as soon as anything waits.
            activationThreshold: '0',
            // No result is an error that KEDA tells, and not a queue without jobs.
            ignoreNullValues: 'false',
          },
        },
      ],
    },
  }
}

/**
 * How many consumers are needed: what comes in a second and a share of what waits, over what one consumer gets through.
 * It has a value for every model that was ever announced, without consumers, too. API processes tell what they
 * accepted only once they have accepted something, and nobody knows the capacity of what has never run: then nothing
 * comes, and one job a second is assumed.
 */
export function workQuery({ models }: Pick<DeviceClass, 'models'>, window = arrivalWindow): string {
  const of = (metric: string): string => `vision_queue_${metric}{model=~"${models.join('|')}"}`
  const waiting = `max by (model) (${of('queue_jobs')})`
  const coming = `sum by (model) (rate(${of('jobs_submitted_total')}[${window}]))`
  const capacity = `max by (model) (${of('remembered_capacity_jobs_per_second')})`
  return [
    'sum(',
    `  ((${coming} or 0 * ${waiting})`,
    `    + ${waiting} / ${backlogSeconds})`,
    `  / (${busyShare} * (${capacity} or 1 + 0 * ${waiting}))`,
    ')',
  ].join('\n')
}
