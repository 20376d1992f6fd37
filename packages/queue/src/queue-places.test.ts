// oxlint-disable max-lines -- because it tests one thing in all that it touches
import { setTimeout as sleep } from 'node:timers/promises'

import { beforeEach, describe, expect, test, vi } from 'vitest'

import { admittedKey, modelPartsKey, placeOf, resultKey, waitingKey } from './keys.ts'
import { createJobQueues } from './job-queues.ts'
import { createAdmission } from './producer/admission.ts'
import { createOrphanSweep } from './producer/orphan-sweep.ts'
import { createOwnerQuotas } from './producer/owner-quota.ts'
import { partsInOrder, raiseParts, readPlaces, shareOf } from './queue-places.ts'
import type { QueuedJob } from './queued-job.ts'
import { createModelForgetting } from './worker/forget-model.ts'
import { openPartedSource, type PartedSourceOptions } from './worker/parted-source.ts'
import { blobs, image, newJob, noBlobs, quiet, retention, succeeded, useTestQueue } from './test-support/test-queue.ts'
import type { TestClient } from './test-support/job-watch.ts'
import { createRedisBlobs } from '@vision-queue/blobs'

const queue = useTestQueue()
const parts = 4
let roomy: TestClient

beforeEach(async () => {
  roomy = await queue.connect({ maxJobs: 1000, maxBytes: 1e6 })
  await raiseParts(queue.redis, ['m'], parts)
})

/** Unfinished jobs of each part. */
async function spread(): Promise<number[]> {
  const places = await readPlaces(queue.redis, 'm')
  return Promise.all(places.map(async (place) => queue.redis.zcard(admittedKey(place))))
}

async function submitMany(count: number, more: Partial<QueuedJob> = {}): Promise<QueuedJob[]> {
  const jobs = Array.from({ length: count }, () => ({ ...newJob(), ...more }))
  await Promise.all(jobs.map(async (job) => roomy.submit(job, blobs, { parts })))
  return jobs
}

/** Answers jobs as a consumer does; gives their ids in the order in which they came. */
function consume(options: Partial<PartedSourceOptions> = {}): string[] {
  const taken: string[] = []
  const results = queue.resultStore()
  const source = openPartedSource({
    redisUrl: queue.url,
    model: 'm',
    parts,
    concurrency: 4,
    lockMs: 1000,
    stalledCheckMs: 300,
    async handle({ job, readBlobs }) {
      if (job === null || (await readBlobs(job)) === null) throw new Error('A job or its image is lost')
      taken.push(job.id)
      await results.finish(job, succeeded(job, 'a'))
      return { kind: 'done' }
    },
    giveUp: async () => {},
    log: quiet,
    ...options,
  })
  queue.atEnd(async () => source.close())
  return taken
}

test('the shares of a bound add up to it', () => {
  for (const bound of [0, 1, 3, 1000, 2 ** 30 + 7]) {
    for (const count of [1, 2, 3, 7, 64]) {
      const shares = Array.from({ length: count }, (_, part) => shareOf(bound, part, count))
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(bound)
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
    }
  }
})

test('a job tries every part once', () => {
  for (const text of ['a', 'b', 'c', 'd']) expect(new Set(partsInOrder(text, 5))).toEqual(new Set([0, 1, 2, 3, 4]))
  expect(new Set(Array.from({ length: 100 }, (_, index) => partsInOrder(`${index}`, 5)[0])).size).toBe(5)
})

test('how many parts there were is never lowered', async () => {
  await raiseParts(queue.redis, ['m', 'n'], 3)
  await raiseParts(queue.redis, ['m', 'n'], 2)
  expect(await queue.redis.hgetall(modelPartsKey)).toEqual({ m: '4', n: '3' })
})

describe('a bound over parts', () => {
  test.each([
    ['jobs', { maxJobs: 10, maxBytes: 1e6 }, 10],
    ['jobs, fewer than parts', { maxJobs: 3, maxBytes: 1e6 }, 3],
    ['bytes', { maxJobs: 1000, maxBytes: 100 * 4 * 3 }, 12],
  ])('of %s is exact, whoever submits at the same time', async (_, limits, fit) => {
    const clients = await Promise.all([queue.connect(limits), queue.connect(limits)])
    const jobs = Array.from({ length: 60 }, () => newJob())
    const outcomes = await Promise.allSettled(
      jobs.map(async (job, index) => clients[index % 2]?.submit(job, blobs, { parts })),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(fit)
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['queue_full']))
    expect(refused[0]?.detail).toContain('None of the 4 parts')
    expect(await roomy.depth('m')).toEqual({ jobs: fit, bytes: fit * image.length })
    // Nothing is left of those that were refused.
    expect((await queue.redis.keys('vq:job:*')).length).toBe(fit)
  })

  test('sends a job on to the next part, and the place of one that ended is free again', async () => {
    const tight = await queue.connect({ maxJobs: 4, maxBytes: 1e6 })
    // All have the same home.
    const admit = { digest: 'the same question', parts }
    const jobs = Array.from({ length: 4 }, () => newJob())
    for (const job of jobs) await tight.submit(job, blobs, admit)
    expect(await spread()).toEqual([1, 1, 1, 1])
    await expect(tight.submit(newJob(), blobs, admit)).rejects.toMatchObject({ code: 'queue_full' })
    const [, second] = jobs
    await tight.cancel(second?.id ?? '')
    const next = newJob()
    await tight.submit(next, blobs, admit)
    expect(await spread()).toEqual([1, 1, 1, 1])
    const taken = consume()
    await roomy.waitFor(next.id, 10_000)
    await vi.waitFor(() =>
      expect(taken.toSorted()).toEqual([...jobs.filter((job) => job !== second), next].map(({ id }) => id).toSorted()),
    )
    expect(await spread()).toEqual([0, 0, 0, 0])
  })

  test('holds a deadline against a job only where no part can meet it', async () => {
    await Promise.all(Array.from({ length: 2 }, async () => roomy.submit(newJob(), blobs, { digest: 'q', parts })))
    const pace = { jobsPerSecond: 4, jobMs: 1 }
    const due = (): QueuedJob => ({ ...newJob(), deadlineAt: Date.now() + 900 })
    // One part does one job a second, and two wait in the job's own: it would start too late there.
    await expect(roomy.submit(due(), blobs, { digest: 'q', pace, parts })).resolves.toMatchObject({ queuePosition: 0 })
    expect((await spread()).toSorted((a, b) => a - b)).toEqual([0, 0, 1, 2])
  })
})

test('equal questions meet, and their answer is found in their part', async () => {
  const asked = { ...newJob(), cache: true }
  await roomy.submit(asked, blobs, { digest: 'd1', parts })
  const results = queue.resultStore()
  consume({
    async handle({ job }) {
      if (job === null) throw new Error('not a job')
      await results.finish(job, { ...succeeded(job, 'kept'), variant: 'fp32' }, 'd1')
      return { kind: 'done' }
    },
  })
  await roomy.waitFor(asked.id, 10_000)
  const kept = await queue.redis.keys('vq:{m*}:answer:*')
  expect(kept).toEqual([expect.stringContaining(`{${placeOf({ model: 'm', part: partsInOrder('d1', parts)[0] })}}`)])
  // Another process, which has not met it.
  const other = await queue.connect({ maxJobs: 1000 })
  await expect(other.submit(newJob(), blobs, { digest: 'd1', parts })).resolves.toMatchObject({
    answeredFrom: 'redis',
    job: { output: { answer: 'kept' } },
  })
})

describe('a job in a part', () => {
  test('is read, canceled and tried again', async () => {
    const jobs = await submitMany(12)
    expect((await spread()).filter((count) => count > 0).length).toBeGreaterThan(1)
    for (const { id } of jobs) expect(await roomy.read(id)).toMatchObject({ status: 'queued' })
    const keeping = await queue.connect({
      maxJobs: 1000,
      maxBytes: 1e6,
      retention: { ...retention, failedPayloadTtlMs: 10_000, failedPayloadMaxBytes: 1e6 },
    })
    for (const { id } of jobs) expect(await keeping.cancel(id)).toMatchObject({ status: 'canceled' })
    expect(await spread()).toEqual([0, 0, 0, 0])
    expect(await queue.redis.keys('vq:{m*}:jobs:job_*')).toEqual([])
    expect(await roomy.depth('m')).toEqual({ jobs: 0, bytes: 0 })
    const [first] = jobs
    const again = await keeping.of(null).readForRetry(first?.id ?? '')
    if (again === null) throw new Error('It is not kept')
    // Into the only part there is now, whichever it was in.
    await roomy.submit({ ...again, id: newJob().id, retryOf: again.id }, noBlobs)
    expect(await spread()).toEqual([1, 0, 0, 0])
  })

  test('is read as running, and handed back to its part by a consumer that dies', async () => {
    const [job] = await submitMany(1)
    const held = openPartedSource({
      redisUrl: queue.url,
      model: 'm',
      parts,
      concurrency: 4,
      lockMs: 1000,
      stalledCheckMs: 300,
      handle: async () => new Promise(() => {}),
      giveUp: async () => {},
      log: quiet,
    })
    await vi.waitFor(async () => expect(await roomy.read(job?.id ?? '')).toMatchObject({ status: 'running' }))
    held.abandon()
    consume()
    expect(await roomy.waitFor(job?.id ?? '', 15_000)).toMatchObject({ status: 'succeeded' })
  })

  test('is purged, pinned or not', async () => {
    const jobs = [...(await submitMany(9)), ...(await submitMany(9, { versionPinned: true, modelVersion: '2' }))]
    const queues = createJobQueues(queue.redis)
    queue.atEnd(async () => queues.close())
    expect(await queues.countPinned('m', '2')).toBe(9)
    expect(await roomy.purge('m', ['2'])).toBe(18)
    expect(await queue.redis.exists(...jobs.map(({ id }) => resultKey(id)))).toBe(18)
    expect(await queues.countPinned('m', '2')).toBe(0)
    expect(await spread()).toEqual([0, 0, 0, 0])
  })

  test('keeps its model known', async () => {
    const jobs = await submitMany(1)
    await queue.redis.hset('vq:models', 'm@1', '{}')
    const forgetting = createModelForgetting(queue.redis)
    queue.atEnd(async () => forgetting.close())
    expect(await forgetting.forget('m', '1')).toBe(false)
    await roomy.cancel(jobs[0]?.id ?? '')
    expect(await forgetting.forget('m', '1')).toBe(true)
  })

  test('is given back or queued if its submission broke off', async () => {
    const redis = queue.redis
    await redis.hset('vq:models', 'm@1', '{}')
    const admission = createAdmission(redis)
    const queues = createJobQueues(redis)
    queue.atEnd(async () => queues.close())
    const sweep = createOrphanSweep({
      redis,
      admission,
      queues,
      quotas: createOwnerQuotas(redis),
      blobs: createRedisBlobs(redis),
      log: quiet,
    })
    const limits = { maxJobs: 10, maxBytes: 1000, payloadTtlMs: 60_000 }
    await admission.admit({ ...newJob(), part: 2 }, limits)
    const recorded = { ...newJob(), part: 3 }
    await admission.admit(recorded, limits)
    await redis.set(`vq:job:${recorded.id}`, JSON.stringify(recorded))
    expect(await spread()).toEqual([0, 0, 1, 1])
    await sweep.look()
    expect(await sweep.look()).toEqual({ givenBack: 1, queued: 1 })
    expect(await spread()).toEqual([0, 0, 0, 1])
    expect(await redis.lrange('vq:{m#3}:jobs:wait', 0, -1)).toEqual([recorded.id])
  })
})

describe('when the number of parts changes', () => {
  test('no job is stuck in parts that are announced no more', async () => {
    const jobs = await submitMany(40)
    expect((await spread()).every((count) => count > 0)).toBe(true)
    const taken = consume({ parts: 1, concurrency: 8 })
    await Promise.all(jobs.map(async ({ id }) => roomy.waitFor(id, 15_000)))
    expect(taken.toSorted()).toEqual(jobs.map(({ id }) => id).toSorted())
    expect(await spread()).toEqual([0, 0, 0, 0])
  })

  test('a consumer that began before others announced more takes from theirs, too', async () => {
    await queue.redis.del(modelPartsKey)
    const taken = consume({ parts: 1, lookEveryMs: 50 })
    await sleep(100)
    await raiseParts(queue.redis, ['m'], parts)
    const jobs = await submitMany(20)
    await Promise.all(jobs.map(async ({ id }) => roomy.waitFor(id, 15_000)))
    expect(taken).toHaveLength(20)
  })
})

test('each part is fair for itself, so that the jobs of one owner do not keep those of another waiting', async () => {
  await submitMany(200, { owner: 'many' })
  const few = await submitMany(8, { owner: 'few' })
  const ahead = await Promise.all(
    few.map(async (job) => {
      const places = await readPlaces(queue.redis, 'm')
      const ranks = await Promise.all(places.map(async (place) => queue.redis.zrank(waitingKey(place, 'jobs'), job.id)))
      return ranks.find((rank) => rank !== null) ?? Number.NaN
    }),
  )
  // 50 of the other wait in each part. Eight are a round of the turns, and each round has as many of both.
  expect(Math.max(...ahead)).toBeLessThan(24)
})
