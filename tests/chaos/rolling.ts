import { blobBytesKey, blobHoldersKey } from '@vision-queue/blobs'
import { blobsOf, inputOfParts, oldImageKey, type QueuedJob, queuedJobSchema } from '@vision-queue/queue'
import { final, read } from '@vision-queue/test-support/client'
import type { Composition } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'

import { freshExample } from './load.ts'
import type { RedisView } from './redis-view.ts'
import { type Finding, type Scenario, sleep } from './scenario.ts'
import { underLoad } from './under-load.ts'

/** A release is rolled out: processes are stopped one by one and replaced, while clients go on. */
export const rolling: Scenario = {
  name: 'rolling',
  title: 'APIs and consumers restarted one by one, and jobs of another release in the queue',
  async run({ form, say, composition }) {
    // Two systems, side by side: each waits for most of its time.
    const restarting = rollOut(form === 'short' ? 1 : 5, composition)
    const findings = await Promise.all([restarting, otherShapes()])
    say('rolled out')
    return findings
  },
}

/** What the queue's jobs have had since later. */
const newerFields = new Set(['cache', 'replyTo', 'owner', 'answersOf', 'priority', 'retryOf', 'parts', 'context'])

/** `rounds`: how often each API and each consumer is replaced. */
async function rollOut(rounds: number, composition?: Composition): Promise<Finding> {
  return underLoad({ apis: 2, consumers: 2, composition }, async ({ system, load, finding }) => {
    const apis = [...system.apis]
    const together = system.composition === 'one'
    const consumers = together ? [] : [...system.consumers]
    const add = together ? system.addServer : system.addApi
    // A balancer sends a request elsewhere only where nobody listens.
    const running = load({ urls: () => apis.map(({ url }) => url), clients: 4, pauseMs: 30 })
    await sleep(500)
    let exits = 0
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, old] of apis.entries()) {
        old.signal('SIGTERM')
        if ((await old.exited).code === 0) exits += 1
        const born = await add(Number(new URL(old.url).port))
        apis[index] = born
        await until(async () => (await fetch(`${born.url}/health/live`).catch(() => null))?.ok === true, 'it answers')
      }
      for (const [index, old] of consumers.entries()) {
        // The new one first, as a rollout with surge does.
        const born = await system.addConsumer()
        old.signal('SIGTERM')
        if ((await old.exited).code === 0) exits += 1
        consumers[index] = born
      }
    }
    await system.waitForConsumers(2)
    const counts = await running.stop()
    return finding(`rolling restart, ${rounds} times each of 2 APIs and 2 consumers`, counts, {
      held: counts.broken === 0 && counts.unexpected === 0 && exits === (together ? 2 : 4) * rounds,
      figures: { 'clean exits': exits, 'connections broken before an answer': counts.broken },
    })
  })
}

/** Jobs that another release has queued: an older shape is understood, a newer one waits for who understands it. */
async function otherShapes(): Promise<Finding> {
  return underLoad({ consumers: 0 }, async ({ system, redis, load, ledger, finding }) => {
    // A model has to be known before jobs are taken; then no consumer is there.
    const first = await system.addConsumer()
    await system.waitForConsumers(1)
    first.signal('SIGTERM')
    await first.exited
    const running = load({ clients: 1, pauseMs: 10, example: () => freshExample() })
    await until(() => ledger.ids.length >= 2, 'two jobs wait')
    const counts = await running.stop()
    const [older = '', newer = ''] = ledger.ids
    const rewrite = async (id: string, change: (job: QueuedJob) => Record<string, unknown>): Promise<void> => {
      const key = `vq:{shapes-vqa}:jobs:${id}`
      const job = queuedJobSchema.parse(JSON.parse((await redis.hget(key, 'data')) ?? ''))
      await redis.hset(key, 'data', JSON.stringify(change(job)))
    }
    const address = await olderShape(redis, rewrite, older)
    await rewrite(newer, (job) => ({ ...job, version: 3, more: 'of the next release' }))

    await system.addConsumer()
    const old = await final(system.url, older)
    await until(async () => (await read(system.url, newer)).attempts > 0, 'the newer one was met')
    const waits = (await read(system.url, newer)).status
    // Its image is left to its expiry.
    await redis.del(address)
    // The release that knows the shape arrives.
    await rewriteBack(redis, newer)
    const newest = await final(system.url, newer)
    return finding('jobs of an older and of a newer shape in the queue', counts, {
      held: old.status === 'succeeded' && waits === 'queued' && newest.status === 'succeeded',
      figures: { 'the older one': old.status, 'the newer one, meanwhile': waits, 'with who knows it': newest.status },
    })
  })
}

/** Makes a job one of shape 1, as the first release has queued it; resolves to where its image lies then. */
async function olderShape(
  redis: RedisView,
  rewrite: (id: string, change: (job: QueuedJob) => Record<string, unknown>) => Promise<void>,
  id: string,
): Promise<string> {
  let address = ''
  let moved = ''
  await rewrite(id, (job) => {
    const [{ hash, bytes, type } = { hash: '', bytes: 0, type: 'image/png' }] = blobsOf(job)
    address = oldImageKey(job.model, { name: hash, uploaded: false })
    moved = hash
    const kept = Object.entries(job).filter(([name]) => !newerFields.has(name))
    return { ...Object.fromEntries(kept), version: 1, image: { hash, bytes, type }, input: inputOfParts(job) }
  })
  const blob = { space: null, hash: moved }
  await redis.set(address, (await redis.getBuffer(blobBytesKey(blob))) ?? '', 'PX', 60_000)
  await redis.del(blobBytesKey(blob), blobHoldersKey(blob))
  return address
}

async function rewriteBack(
  redis: {
    hget(key: string, field: string): Promise<string | null>
    hset(key: string, ...pairs: string[]): Promise<number>
  },
  id: string,
): Promise<void> {
  const key = `vq:{shapes-vqa}:jobs:${id}`
  const job: unknown = JSON.parse((await redis.hget(key, 'data')) ?? '')
  await redis.hset(key, 'data', JSON.stringify(queuedJobSchema.parse({ ...Object(job), version: 2 })))
}
