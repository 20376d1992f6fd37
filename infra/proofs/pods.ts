import { apiDeployment } from '@vision-queue/kubernetes/api'
import { consumerDeployment, deviceClasses } from '@vision-queue/kubernetes/consumers'
import { freePort } from '@vision-queue/local/free-port'
import { startTestRedis } from '@vision-queue/test-support/redis'
import { until } from '@vision-queue/test-support/until'

import { ask } from './ask.ts'
import { buildTarget, type Container, makeNodeImage, needContainers, runOnce, startContainer } from './containers.ts'
import type { Proof } from './proof.ts'

type Deployment = typeof apiDeployment

/**
 * The pods of the manifests without a cluster: their variables, memory, user and probes, in podman. Secrets are filled
 * in, and ports are others, since containers share this machine's network. CPU consumers only: no GPU is here.
 */
export const pods: Proof = {
  name: 'pods',
  title: 'API and CPU consumer run with what their manifests give them, pass all probes and end within their grace',
  short: false,
  async run(say) {
    await needContainers()
    await makeNodeImage()
    const [api, consumer] = [await buildTarget('api'), await buildTarget('consumer')]
    const redis = await startTestRedis()
    const started: Container[] = []
    try {
      const secrets = { REDIS_URL: redis.url, ENGINE_REDIS_URL: redis.url, METRICS_TOKEN: 'for-prometheus-alone' }
      const key = await makeKey(consumer, redis.url)
      say('vq of the consumer’s image makes the key without which the API would not start')
      const device = deviceClasses.find(({ name }) => name === 'cpu')
      if (device === undefined) throw new Error('There is no class of CPU consumers.')
      const door = await startPod(api, apiDeployment, secrets, 'PORT')
      started.push(door.container)
      const worker = await startPod(consumer, consumerDeployment(device), secrets, 'CONSUMER_PORT')
      started.push(worker.container)
      for (const { url, deployment } of [door, worker]) await passProbes(url, deployment)
      say(`probes pass; answered ${await ask(door.url, { authorization: `Bearer ${key}` })}`)
      for (const { url } of [door, worker]) await checkMetrics(url, secrets.METRICS_TOKEN)
      say('/metrics opens with the token and without it does not')
      for (const { container, deployment } of [worker, door]) {
        const code = await container.stop(deployment.spec?.template.spec?.terminationGracePeriodSeconds ?? 0)
        if (code !== 0) throw new Error(`It ended with ${code}:\n${await container.logs()}`)
      }
      say('each ends with 0 within its grace')
    } finally {
      for (const container of started) await container.remove()
      await redis.stop()
    }
  },
}

async function makeKey(image: string, redisUrl: string): Promise<string> {
  const vq = ['node', 'packages/bundles/src/run.cjs', 'apps/cli/src/main.ts']
  const create = ['keys', 'create', '--name', 'proof', '--scopes', 'submit,read']
  const printed = await runOnce(image, { REDIS_URL: redisUrl }, [...vq, ...create])
  const key = /vq_\w+/.exec(printed)?.[0]
  if (key === undefined) throw new Error(`There is no key in: ${printed}`)
  return key
}

interface Pod {
  container: Container
  deployment: Deployment
  url: string
}

async function startPod(
  image: string,
  deployment: Deployment,
  secrets: Readonly<Record<string, string>>,
  portVariable: string,
): Promise<Pod> {
  const spec = deployment.spec?.template.spec
  const [main] = spec?.containers ?? []
  const port = await freePort()
  const env: Record<string, string> = {}
  for (const { name, value, valueFrom } of main?.env ?? []) {
    const given = value ?? secrets[name]
    if (given !== undefined) env[name] = given
    else if (valueFrom?.secretKeyRef?.optional !== true) throw new Error(`Nothing is given for ${name}.`)
  }
  env[portVariable] = String(port)
  const memoryMb = mebibytes(main?.resources?.limits?.['memory'])
  const user = `${spec?.securityContext?.runAsUser}:${spec?.securityContext?.runAsGroup}`
  const container = await startContainer({ image, env, memoryMb, user })
  return { container, deployment, url: `http://127.0.0.1:${port}` }
}

function mebibytes(quantity: string | number | undefined): number {
  const [, amount, unit] = /^(\d+)(Mi|Gi)$/.exec(String(quantity)) ?? []
  if (amount === undefined) throw new Error(`${quantity} is no memory in Mi or Gi.`)
  return Number(amount) * (unit === 'Gi' ? 1024 : 1)
}

async function passProbes(url: string, deployment: Deployment): Promise<void> {
  const [main] = deployment.spec?.template.spec?.containers ?? []
  for (const probe of [main?.startupProbe, main?.livenessProbe, main?.readinessProbe]) {
    const path = probe?.httpGet?.path
    if (path === undefined) throw new Error('A probe has no path.')
    await until(async () => (await fetch(`${url}${path}`).catch(() => null))?.ok === true, `${url}${path} answers`)
  }
}

async function checkMetrics(url: string, token: string): Promise<void> {
  const open = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } })
  const closed = await fetch(`${url}/metrics`)
  if (!open.ok || closed.status !== 401)
    throw new Error(`${url}/metrics: ${open.status} with the token, ${closed.status}`)
}
