import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'

import { apiName } from './api.ts'
import { labelsOf } from './pod.ts'

const ours = { matchLabels: { 'app.kubernetes.io/part-of': 'vision-queue' } }
const namespace = (name: string): { namespaceSelector: { matchLabels: Record<string, string> } } => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
})

/** What is not named here is closed, in both directions. Where Redis lies is not known here, only its port. */
export const networkPolicies: readonly INetworkPolicy[] = [
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'vision-queue', labels: ours.matchLabels },
    spec: {
      podSelector: ours,
      policyTypes: ['Ingress', 'Egress'],
      // Prometheus asks every pod.
      ingress: [
        {
          from: [namespace('monitoring')],
          ports: [
            { protocol: 'TCP', port: 3000 },
            { protocol: 'TCP', port: 9090 },
          ],
        },
      ],
      egress: [
        {
          to: [namespace('kube-system')],
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
        {
          ports: [
            { protocol: 'TCP', port: 6379 },
            { protocol: 'TCP', port: 6380 },
          ],
        },
      ],
    },
  },
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: apiName, labels: labelsOf(apiName) },
    spec: {
      podSelector: { matchLabels: labelsOf(apiName) },
      policyTypes: ['Ingress'],
      ingress: [{ from: [namespace('ingress-nginx')], ports: [{ protocol: 'TCP', port: 3000 }] }],
    },
  },
]
