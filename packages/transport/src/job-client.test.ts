import { createHash } from 'node:crypto'

import { finalJob, type Job, payloadKey, type QueuedJob, resultKey } from '@vision-queue/jobs'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { createModelForgetting } from './forget-model.ts'
import { type JobClient, openJobClient } from './job-client.ts'
import { type JobSourceOptions, openJobSource } from './job-source.ts'
import { createResultStore } from './result-store.ts'

const quiet = { info() {}, warn() {}, error() {} }
const limits = { maxJobs: 3, maxBytes: 1000, payloadTtlMs: 60_000 }
const nobody = 'job_000000000000000000nil'
const image = Buffer.alloc(100, 7)

let server: TestRedis
let redis: Redis
let client: JobClient
const closing: (() => unknown)[] = []

beforeAll(async () => {
  server = await startTestRedis()
})
afterAll(async () => {
  await server.stop()
})
beforeEach(async () => {
  redis = new Redis(server.url)
  await redis.flushall()
  client = await connect()
})
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
  redis.disconnect()
})

async function connect(options: Partial<typeof limits> = {}): Promise<JobClient> {
  const opened = openJobClient({ redisUrl: server.url, commandTimeoutMs: 500, log: quiet, ...limits, ...options })
  closing.push(() => opened.close())
  await expect
    .poll(() =>
      opened.ping().then(
        () => true,
        () => false,
      ),
    )
    .toBe(true)
  return opened
}

let made = 0
function newJob(bytes: Buffer = image): QueuedJob {
  made += 1
  return {
    version: 1,
    id: `job_${String(made).padStart(21, '0')}`,
    model: 'm',
    modelVersion: '1',
    versionPinned: false,
    image: { hash: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length, type: 'image/png' },
    input: { question: 'q' },
    parameters: {},
    metadata: { order: '42' },
    createdAt: Date.now(),
    deadlineAt: null,
  }
}

function consume(handle: JobSourceOptions['handle'], options: Partial<JobSourceOptions> = {}): void {
  const source = openJobSource({
    redisUrl: server.url,
    model: 'm',
    concurrency: 4,
    lockMs: 1000,
    stalledCheckMs: 300,
    handle,
    giveUp: async () => {},
    log: quiet,
    ...options,
  })
  closing.push(() => source.close())
}

function resultStore(): ReturnType<typeof createResultStore> {
  return createResultStore({ redis, resultTtlMs: 60_000, keepPayloadMs: 0 })
}

const succeeded = (job: QueuedJob, answer: string): ReturnType<typeof finalJob> =>
  finalJob(job, { status: 'succeeded', output: { answer }, attempts: 1, startedAt: Date.now() }, 60_000)

describe('admission', () => {
  test('a burst is bounded exactly, and the place of a finished job is free again', async () => {
    const jobs = Array.from({ length: 20 }, () => newJob())
    const outcomes = await Promise.allSettled(jobs.map((job) => client.submit(job, image)))
    const accepted = jobs.filter((_, index) => outcomes[index]?.status === 'fulfilled')
    expect(accepted).toHaveLength(limits.maxJobs)
    const codes = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []))
    expect(new Set(codes)).toEqual(new Set(['queue_full']))
    const [first] = accepted
    if (first === undefined) throw new Error('none accepted')
    await resultStore().finish(first, succeeded(first, 'a'))
    await expect(client.submit(newJob(), image)).resolves.toEqual({ queuePosition: limits.maxJobs - 1 })
  })

  test('the bytes of waiting images are bounded', async () => {
    const roomy = await connect({ maxBytes: 250, maxJobs: 100 })
    await roomy.submit(newJob(), image)
    await roomy.submit(newJob(), image)
    await expect(roomy.submit(newJob(), image)).rejects.toMatchObject({ code: 'queue_full' })
    expect(await roomy.depth('m')).toEqual({ jobs: 2, bytes: 200 })
  })

  test('a job submitted again under its id keeps its place and is queued once', async () => {
    const job = newJob()
    await client.submit(job, image)
    await client.submit(job, image)
    expect(await client.depth('m')).toEqual({ jobs: 1, bytes: 100 })
    const taken: string[] = []
    consume(async ({ id, job: delivered }) => {
      taken.push(id)
      if (delivered !== null) await resultStore().finish(delivered, succeeded(delivered, 'a'))
      return { kind: 'done' }
    })
    await client.waitFor(job.id, 10_000)
    expect(taken).toEqual([job.id])
  })

  test('an admission whose job vanished lapses by itself', async () => {
    const hasty = await connect({ payloadTtlMs: 200, maxJobs: 1 })
    await hasty.submit(newJob(), image)
    await expect(hasty.submit(newJob(), image)).rejects.toMatchObject({ code: 'queue_full' })
    await expect
      .poll(() =>
        hasty.submit(newJob(), image).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    expect(await hasty.depth('m')).toMatchObject({ bytes: 100 })
  })
})

describe('payloads', () => {
  test('one image of two jobs is stored once, and goes with the last of them', async () => {
    const [one, two] = [newJob(), newJob()]
    await client.submit(one, image)
    await client.submit(two, image)
    const key = payloadKey('m', one.image.hash)
    await resultStore().finish(one, succeeded(one, 'a'))
    expect(await redis.getBuffer(key)).toEqual(image)
    await resultStore().finish(two, succeeded(two, 'b'))
    expect(await redis.exists(key)).toBe(0)
  })
})

describe('results', () => {
  test('the first final state stays, and only it is published', async () => {
    const job = newJob()
    await client.submit(job, image)
    const seen: Job[] = []
    const watch = await client.watch(job.id, (change) => seen.push(change))
    expect(await resultStore().finish(job, succeeded(job, 'first'))).toBe(true)
    expect(await resultStore().finish(job, succeeded(job, 'second'))).toBe(false)
    await expect.poll(() => seen.map(({ status }) => status)).toEqual(['queued', 'succeeded'])
    expect((await client.read(job.id))?.output).toEqual({ answer: 'first' })
    watch?.close()
  })

  test('nothing of a finished job is left but its result, which expires', async () => {
    const job = newJob()
    consume(async ({ job: delivered }) => {
      if (delivered !== null) await resultStore().finish(delivered, succeeded(delivered, 'a'))
      return { kind: 'done' }
    })
    await client.submit(job, image)
    await client.waitFor(job.id, 10_000)
    await expect
      .poll(async () => (await redis.keys('*')).filter((key) => key.includes(job.id)))
      .toEqual([resultKey(job.id)])
    expect(await redis.pttl(resultKey(job.id))).toBeGreaterThan(0)
    expect(await redis.keys('*payload*')).toEqual([])
    expect(await redis.keys('*holders*')).toEqual([])
  })
})

describe('waiting', () => {
  test('a watcher on another API process sees queued, running and the end', async () => {
    const job = newJob()
    await client.submit(job, image)
    const other = await connect()
    const seen: string[] = []
    await other.watch(job.id, ({ status }) => seen.push(status))
    const results = resultStore()
    consume(async ({ job: delivered, startedAt, attempts }) => {
      if (delivered === null) throw new Error('unreadable')
      await results.announceRunning(delivered.id, startedAt, attempts)
      await results.finish(delivered, succeeded(delivered, 'a'))
      return { kind: 'done' }
    })
    await expect.poll(() => seen).toEqual(['queued', 'running', 'succeeded'])
  })

  test('who submits and waits gets the end, though it comes the moment the job is queued', async () => {
    const results = resultStore()
    consume(async ({ job }) => {
      if (job !== null) await results.finish(job, succeeded(job, 'a'))
      return { kind: 'done' }
    })
    const waited = await Promise.all(
      Array.from({ length: 3 }, async () => client.submitAndWait(newJob(), image, 10_000)),
    )
    expect(waited.map(({ job }) => job.status)).toEqual(['succeeded', 'succeeded', 'succeeded'])
  })

  test('who submits and waits in vain gets the accepted job, and where it is refused the refusal', async () => {
    for (let place = 0; place < limits.maxJobs; place += 1) {
      expect(await client.submitAndWait(newJob(), image, 20)).toMatchObject({
        queuePosition: place,
        job: { status: 'queued' },
      })
    }
    await expect(client.submitAndWait(newJob(), image, 10_000)).rejects.toMatchObject({ code: 'queue_full' })
  })

  test('a wait ends with the job as it is when time is up, and at once for an unknown job', async () => {
    const job = newJob()
    await client.submit(job, image)
    expect(await client.waitFor(job.id, 50)).toMatchObject({ status: 'queued', metadata: { order: '42' } })
    expect(await client.waitFor(nobody, 10_000)).toBeNull()
  })

  test('what was published while the connection was lost is found after the reconnect', async () => {
    const job = newJob()
    await client.submit(job, image)
    const seen: string[] = []
    await client.watch(job.id, ({ status }) => seen.push(status))
    // Nobody hears this: the subscription is cut in the same breath.
    await Promise.all([redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'), resultStore().finish(job, succeeded(job, 'a'))])
    await expect.poll(() => seen, { timeout: 5000 }).toEqual(['queued', 'succeeded'])
  })
})

describe('the consumer’s side', () => {
  test('a job handed back is delivered again, and a delayed one later', async () => {
    const [back, late] = [newJob(), newJob()]
    const results = resultStore()
    consume(async ({ job, attempts }) => {
      if (job === null) throw new Error('unreadable')
      if (job.id === back.id && attempts === 1) return { kind: 'hand-back' }
      if (job.id === late.id && attempts === 1) return { kind: 'delay', delayMs: 50 }
      await results.finish(job, finalJob(job, { status: 'succeeded', attempts }, 60_000))
      return { kind: 'done' }
    })
    for (const job of [back, late]) {
      await client.submit(job, image)
      expect(await client.waitFor(job.id, 10_000)).toMatchObject({ status: 'succeeded', attempts: 2 })
    }
  })

  test('a job that can never be finished still gets a final state', async () => {
    const job = newJob()
    await client.submit(job, image)
    // BullMQ's own record of a job that failed in every attempt.
    await redis.hset(`vq:{m}:jobs:${job.id}`, 'opts', JSON.stringify({ attempts: 1 }))
    consume(async () => {
      throw new Error('no result could be stored')
    })
    await expect.poll(async () => (await client.read(job.id))?.status, { timeout: 10_000 }).toBe('failed')
    expect(await client.read(job.id)).toMatchObject({ error: { code: 'inference_failed' } })
  })
})

describe('Redis away', () => {
  test('a dead Redis refuses at once, a frozen one within the command timeout, and both recover', async () => {
    const own = await startTestRedis()
    const away = openJobClient({ redisUrl: own.url, commandTimeoutMs: 300, log: quiet, ...limits })
    try {
      await expect
        .poll(() =>
          away.ping().then(
            () => true,
            () => false,
          ),
        )
        .toBe(true)
      own.freeze()
      await Promise.all(
        [
          away.submit(newJob(), image),
          away.submitAndWait(newJob(), image, 60_000),
          away.read(nobody),
          away.waitFor(nobody, 60_000),
          away.depth('m'),
          away.ping(),
        ].map((call) => expect(call).rejects.toMatchObject({ code: 'queue_unavailable' })),
      )
      own.thaw()
      await expect
        .poll(() =>
          away.submit(newJob(), image).then(
            () => true,
            () => false,
          ),
        )
        .toBe(true)
      await own.stop()
      await expect(away.submit(newJob(), image)).rejects.toMatchObject({ code: 'queue_unavailable' })
      await expect(away.read(nobody)).rejects.toMatchObject({ code: 'queue_unavailable' })
      await expect(away.waitFor(nobody, 60_000)).rejects.toMatchObject({
        code: 'queue_unavailable',
      })
    } finally {
      await away.close()
      await own.stop()
    }
  })
})

describe('pinned jobs', () => {
  test('go to who takes those of their version, and wait where nobody does', async () => {
    const taken: string[] = []
    const handleAs =
      (name: string): JobSourceOptions['handle'] =>
      async ({ job }) => {
        if (job !== null) {
          taken.push(`${name} ${job.modelVersion}`)
          await resultStore().finish(job, succeeded(job, name))
        }
        return { kind: 'done' }
      }
    const [any, one, two] = [newJob(), newJob(), newJob()]
    Object.assign(one, { versionPinned: true })
    Object.assign(two, { versionPinned: true, modelVersion: '2' })
    consume(handleAs('all'))
    consume(handleAs('first'), { pinnedTo: '1' })
    for (const job of [any, one, two]) await client.submit(job, image)
    await Promise.all([any, one].map(async ({ id }) => client.waitFor(id, 10_000)))
    expect(taken.toSorted()).toEqual(['all 1', 'first 1'])
    expect((await client.read(two.id))?.status).toBe('queued')
    consume(handleAs('second'), { pinnedTo: '2' })
    expect((await client.waitFor(two.id, 10_000))?.output).toEqual({ answer: 'second' })
  })

  test('keep their version known, and others the last one of their model', async () => {
    await redis.hset('vq:models', 'm@1', '{}', 'm@2', '{}')
    const durable = new Redis(server.url, { maxRetriesPerRequest: null })
    closing.push(() => durable.disconnect())
    await durable.ping()
    const forgetting = createModelForgetting(durable)
    closing.push(() => forgetting.close())
    const pinned = { ...newJob(), versionPinned: true }
    await client.submit(pinned, image)
    expect(await forgetting.forget('m', '1')).toBe(false)
    expect(await forgetting.forget('m', '2')).toBe(true)
    expect(await redis.hkeys('vq:models')).toEqual(['m@1'])
    consume(
      async ({ job }) => {
        if (job !== null) await resultStore().finish(job, succeeded(job, 'a'))
        return { kind: 'done' }
      },
      { pinnedTo: '1' },
    )
    await client.waitFor(pinned.id, 10_000)
    await expect.poll(async () => forgetting.forget('m', '1')).toBe(true)
    expect(await redis.hkeys('vq:models')).toEqual([])
  })
})
