import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1'
import { apiSettings } from '@vision-queue/api/config'
import { consumerSettings } from '@vision-queue/consumer/config'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { apiAutoscaler, apiDeployment, apiDisruptionBudget, apiService } from './api.ts'
import {
  consumerDeployment,
  consumerDisruptionBudget,
  consumerName,
  consumerScaling,
  deviceClasses,
} from './consumers.ts'
import { files, manifests } from './manifests.ts'
import { networkPolicies } from './network.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(`${root}package.json`, 'utf8')))
const cases = deviceClasses.map((device) => ({ device, deployment: consumerDeployment(device) }))
const deployments = [apiDeployment, ...cases.map(({ deployment }) => deployment)]

test('the files are what the code writes, and there are no others (npm run manifests)', () => {
  const written = files(version)
  const found = ['base', 'scale-to-zero'].flatMap((folder) => {
    return readdirSync(new URL(folder, import.meta.url)).map((name) => `${folder}/${name}`)
  })
  expect(found.toSorted()).toEqual(Object.keys(written).toSorted())
  for (const name of found) expect(readFileSync(new URL(name, import.meta.url), 'utf8')).toBe(written[name])
})

test.each(Object.entries(manifests))('every object of %s passes the schema of its kind', (_, objects) => {
  for (const object of objects) expect(() => object.validate()).not.toThrow()
})

test('a schema refuses a field of another type, and one that is missing', () => {
  const good = consumerScaling(firstOf(deviceClasses), 1)
  const wrong: unknown = { ...good.spec, cooldownPeriod: '300' }
  expect(() => new ScaledObject({ ...good, spec: Object(wrong) }).validate()).toThrow('cooldownPeriod')
  const lacking: unknown = { triggers: good.spec.triggers }
  expect(() => new ScaledObject({ ...good, spec: Object(lacking) }).validate()).toThrow('scaleTargetRef')
})

test('every variable is a setting that the app knows', () => {
  const names = (deployment: typeof apiDeployment): string[] =>
    containerOf(deployment).env?.map(({ name }) => name) ?? []
  expect(Object.keys(apiSettings.shape)).toEqual(expect.arrayContaining(names(apiDeployment)))
  for (const { deployment } of cases) {
    expect(Object.keys(consumerSettings.shape)).toEqual(expect.arrayContaining(names(deployment)))
  }
})

test('services, budgets, autoscalers and policies point at pods that there are', () => {
  expect(apiDeployment.spec?.template.metadata?.labels).toMatchObject(apiService.spec?.selector ?? { no: 'selector' })
  expect(apiDisruptionBudget.spec?.selector).toEqual(apiDeployment.spec?.selector)
  expect(apiAutoscaler.spec?.scaleTargetRef.name).toBe(apiDeployment.metadata?.name)
  for (const { device, deployment } of cases) {
    expect(consumerDisruptionBudget(device).spec?.selector).toEqual(deployment.spec?.selector)
    expect(consumerScaling(device, 1).spec.scaleTargetRef.name).toBe(deployment.metadata?.name)
  }
  for (const { spec } of networkPolicies) {
    const chosen = deployments.filter((each) => matches(each.spec?.template.metadata?.labels, spec?.podSelector))
    expect(chosen.length).toBeGreaterThan(0)
  }
})

describe('every pod', () => {
  test.each(deployments.map((deployment) => ({ deployment, name: deployment.metadata?.name })))(
    '$name runs without rights, has all probes, and longer to stop than it takes',
    ({ deployment }) => {
      const pod = deployment.spec?.template.spec
      const container = containerOf(deployment)
      expect(pod).toMatchObject({ automountServiceAccountToken: false, securityContext: { runAsNonRoot: true } })
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
      const port = container.ports?.find(({ name }) => name === 'http')?.containerPort
      expect(port).toBeGreaterThan(1023)
      expect(container.startupProbe?.httpGet).toEqual({ path: '/health/live', port: 'http' })
      expect(container.livenessProbe?.httpGet).toEqual({ path: '/health/live', port: 'http' })
      expect(container.readinessProbe?.httpGet).toEqual({ path: '/health/ready', port: 'http' })
      expect(container.resources?.limits?.['memory']).toBeDefined()
      const shutdownSeconds = consumerSettings.shape.SHUTDOWN_TIMEOUT_MS.parse(undefined) / 1000
      expect(pod?.terminationGracePeriodSeconds).toBeGreaterThan(shutdownSeconds + 5)
    },
  )
})

test('APIs are 2 to 10 by 70 % of their CPU, of which each asks for some', () => {
  expect(apiAutoscaler.spec).toMatchObject({
    minReplicas: 2,
    maxReplicas: 10,
    metrics: [{ resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } } }],
  })
  expect(containerOf(apiDeployment).resources?.requests?.['cpu']).toBeDefined()
})

test('no model is in two classes, and each ships', () => {
  const models = deviceClasses.flatMap((device) => device.models)
  expect(new Set(models).size).toBe(models.length)
  expect(readdirSync(`${root}models`)).toEqual(expect.arrayContaining(models))
})

test('the class with GPUs asks for one, and the other for none', () => {
  for (const { device, deployment } of cases) {
    const gpus = containerOf(deployment).resources?.limits?.['nvidia.com/gpu']
    expect({ name: consumerName(device), gpus }).toEqual({
      name: consumerName(device),
      gpus: device.name === 'cuda' ? '1' : undefined,
    })
  }
})

test('consumers are as many as the work of their own models needs, from one, or from none where that is asked for', () => {
  for (const { device } of cases) {
    const { minReplicaCount, triggers } = consumerScaling(device, 1).spec
    expect(minReplicaCount).toBe(1)
    expect(consumerScaling(device, 0).spec.minReplicaCount).toBe(0)
    const { query = '' } = firstOf(triggers).metadata
    const selectors = [...query.matchAll(/=~"(.*?)"/g)].map(([, models]) => models)
    expect(new Set(selectors)).toEqual(new Set([device.models.join('|')]))
    // Replicas are value / threshold; with `Value` they would be multiplied by that.
    expect(firstOf(triggers)).toMatchObject({ metricType: 'AverageValue', metadata: { threshold: '1' } })
  }
})

function firstOf<Item>(items: readonly Item[] | undefined): Item {
  const [first] = items ?? []
  if (first === undefined) throw new Error('There is none.')
  return first
}

type Container = NonNullable<NonNullable<typeof apiDeployment.spec>['template']['spec']>['containers'][number]

function containerOf(deployment: typeof apiDeployment): Container {
  return firstOf(deployment.spec?.template.spec?.containers)
}

function matches(labels: Record<string, string> | undefined, selector: { matchLabels?: object } | undefined): boolean {
  return Object.entries(selector?.matchLabels ?? { none: '' }).every(([name, value]) => labels?.[name] === value)
}
