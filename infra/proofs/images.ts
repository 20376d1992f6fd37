import { setTimeout as delay } from 'node:timers/promises'

import { freePort } from '@vision-queue/local/free-port'
import { startTestRedis } from '@vision-queue/test-support/redis'
import { until } from '@vision-queue/test-support/until'

import { ask } from './ask.ts'
import {
  buildTarget,
  type Container,
  inspectImage,
  makeNodeImage,
  needContainers,
  startContainer,
} from './containers.ts'
import type { Proof } from './proof.ts'

/**
 * API and CPU consumer, built from the Dockerfile by buildah and run by podman without capabilities, on a root that
 * can't be written. The base is made of Debian's packages under the name of Node's image. Not shown: networks of
 * containers, and the CUDA image, whose base is nowhere else but in NVIDIA's registry.
 */
export const images: Proof = {
  name: 'images',
  title: 'API and consumer images are built, answer a job hardened and limited, and end with 0 at any time',
  short: false,
  async run(say) {
    await needContainers()
    await makeNodeImage()
    const api = await buildTarget('api')
    const consumer = await buildTarget('consumer')
    for (const image of [api, consumer]) await checkImage(image, say)
    const redis = await startTestRedis()
    try {
      await runBoth({ api, consumer, redisUrl: redis.url }, say)
    } finally {
      await redis.stop()
    }
  },
}

/** What Kubernetes and scanners look at before anything runs. */
async function checkImage(image: string, say: (line: string) => void): Promise<void> {
  const [user, health, size] = (
    await inspectImage(image, '{{.Config.User}}|{{.Config.Healthcheck.Test}}|{{.Size}}')
  ).split('|')
  if (user !== '1000:1000') throw new Error(`${image} runs as ${user}, not as 1000:1000.`)
  if (!health?.includes('healthcheck.mjs')) throw new Error(`${image} has no health check.`)
  say(`${image}: user ${user}, ${Math.round(Number(size) / 1e6)} MB`)
}

interface Built {
  api: string
  consumer: string
  redisUrl: string
}

async function runBoth({ api, consumer, redisUrl }: Built, say: (line: string) => void): Promise<void> {
  const [apiPort, consumerPort] = [await freePort(), await freePort()]
  const started: Container[] = []
  try {
    const door = await startContainer({
      image: api,
      env: { HOST: '127.0.0.1', PORT: String(apiPort), REDIS_URL: redisUrl },
      memoryMb: 300,
    })
    started.push(door)
    const worker = await startContainer({
      image: consumer,
      env: { CONSUMER_PORT: String(consumerPort), REDIS_URL: redisUrl, MODELS: 'shapes-vqa', ENGINES: '1' },
      memoryMb: 800,
    })
    started.push(worker)
    for (const port of [apiPort, consumerPort]) {
      await until(async () => await answers(`http://127.0.0.1:${port}/health/ready`), `port ${port} is ready`)
    }
    say(`answered ${await ask(`http://127.0.0.1:${apiPort}`)} within 300 and 800 MB`)
    for (const container of started) {
      await container.checkHealth()
      await checkHardening(container)
    }
    say('health checks pass; nothing can be written, no capability is left; bundles of the image were used')
    await checkStops(started, say)
  } finally {
    for (const container of started) await container.remove()
  }
}

async function answers(url: string): Promise<boolean> {
  return await fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )
}

async function checkHardening(container: Container): Promise<void> {
  for (const folder of ['/app', '/tmp']) {
    const written = await container.exec('touch', `${folder}/x`).then(
      () => true,
      () => false,
    )
    if (written) throw new Error(`${folder} can be written.`)
  }
  const status = await container.exec('cat', '/proc/self/status')
  if (!/^CapBnd:\s+0+$/m.test(status)) throw new Error('Capabilities are left.')
  const logs = await container.logs()
  if (logs.includes('no bundle can be made')) throw new Error(`It did not start from its bundle:\n${logs}`)
}

/** At work, and at several moments of its start: Kubernetes stops what has just begun at every quick rollback. */
async function checkStops(containers: readonly Container[], say: (line: string) => void): Promise<void> {
  const grace = 15
  for (const container of containers) {
    const codes = [await container.stop(grace)]
    for (const ms of [200, 500, 1000, 2000]) {
      await container.startAgain()
      await delay(ms)
      codes.push(await container.stop(grace))
    }
    if (codes.some((code) => code !== 0))
      throw new Error(`It ended with ${codes.join(', ')}:\n${await container.logs()}`)
  }
  say('stopped at work and 0.2, 0.5, 1 and 2 s after their start, each ended with 0')
}
