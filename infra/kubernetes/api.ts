import type { IDeployment } from 'kubernetes-models/apps/v1'
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2'
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1'
import type { IService } from 'kubernetes-models/v1'

import { deployment, fromSecret, labelsOf } from './pod.ts'

export const apiName = 'vision-queue-api'
const labels = labelsOf(apiName)

/** The API by its CPU: it is what it runs out of first (docs/benchmarks.md). */
export const apiDeployment: IDeployment = deployment({
  name: apiName,
  image: apiName,
  port: 3000,
  env: [
    { name: 'HOST', value: '0.0.0.0' },
    { name: 'PORT', value: '3000' },
    { name: 'ALLOW_ANONYMOUS', value: 'false' },
    fromSecret('REDIS_URL', 'vision-queue-redis', 'url'),
    fromSecret('ADMIN_KEY', 'vision-queue-api', 'admin-key', true),
    fromSecret('METRICS_TOKEN', 'vision-queue-metrics', 'token'),
  ],
  // No limit of CPU: a request that is held up waits for nothing.
  resources: { requests: { cpu: '500m', memory: '256Mi' }, limits: { memory: '640Mi' } },
  startSeconds: 60,
  // Until all nodes and balancers have heard that the pod goes; before that they still send it requests.
  pauseBeforeStopSeconds: 5,
})

export const apiService: IService = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: apiName, labels },
  spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
}

export const apiAutoscaler: IHorizontalPodAutoscaler = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: apiName, labels },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: apiName },
    minReplicas: 2,
    maxReplicas: 10,
    metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } } }],
  },
}

export const apiDisruptionBudget: IPodDisruptionBudget = {
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name: apiName, labels },
  spec: { selector: { matchLabels: labels }, minAvailable: 1 },
}
