import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1'
import { Deployment } from 'kubernetes-models/apps/v1'
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { Service } from 'kubernetes-models/v1'
import { stringify } from 'yaml'

import { apiAutoscaler, apiDeployment, apiDisruptionBudget, apiService } from './api.ts'
import {
  consumerDeployment,
  consumerDisruptionBudget,
  consumerName,
  consumerScaling,
  deviceClasses,
} from './consumers.ts'
import { networkPolicies } from './network.ts'

/** An object that can say what is wrong with it. */
export interface Manifest {
  /** Throws where a field is missing or of another type. It does not notice fields that there are not; tsc does. */
  validate(): void
  toJSON(): unknown
}

/** The objects of each file in base/. */
export const manifests: Readonly<Record<string, readonly Manifest[]>> = {
  'api.yaml': [
    new Deployment(apiDeployment),
    new Service(apiService),
    new HorizontalPodAutoscaler(apiAutoscaler),
    new PodDisruptionBudget(apiDisruptionBudget),
  ],
  ...Object.fromEntries(
    deviceClasses.map((device) => [
      `consumer-${device.name}.yaml`,
      [
        new Deployment(consumerDeployment(device)),
        new PodDisruptionBudget(consumerDisruptionBudget(device)),
        new ScaledObject(consumerScaling(device, 1)),
      ],
    ]),
  ),
  'network.yaml': networkPolicies.map((policy) => new NetworkPolicy(policy)),
}

/** The names of the images, which `kustomize edit set image` changes. */
const images = ['vision-queue-api', 'vision-queue-consumer', 'vision-queue-consumer-cuda']

const generated = '# Written by infra/kubernetes/write-manifests.ts from TypeScript. Change that.\n'

/** All files as they are committed, by their paths from this folder. `version` is the release, the tag of the images. */
export function files(version: string): Record<string, string> {
  const base = Object.entries(manifests).map(([name, objects]) => [
    `base/${name}`,
    generated + objects.map((object) => stringify(object.toJSON(), { lineWidth: 0, singleQuote: true })).join('---\n'),
  ])
  return {
    ...Object.fromEntries(base),
    'base/kustomization.yaml': kustomization({
      namespace: 'vision-queue',
      resources: Object.keys(manifests),
      images: images.map((name) => ({ name, newName: `registry.example.com/${name}`, newTag: version })),
    }),
    'scale-to-zero/kustomization.yaml': kustomization({
      namespace: 'vision-queue',
      resources: ['../base'],
      patches: deviceClasses.map((device) => ({
        target: { kind: 'ScaledObject', name: consumerName(device) },
        patch: stringify([{ op: 'replace', path: '/spec/minReplicaCount', value: 0 }]),
      })),
    }),
  }
}

function kustomization(content: Record<string, unknown>): string {
  const head = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' }
  return generated + stringify({ ...head, ...content }, { lineWidth: 0, singleQuote: true })
}
