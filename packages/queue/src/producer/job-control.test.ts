// oxlint-disable max-lines -- because it tests one interface
import { finalJob } from '../job-forms.ts'
import { jobKey, keptKey, resultKey } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'
import { describe, expect, test } from 'vitest'

import { collectEvents } from '../test-support/job-watch.ts'
import {
  bytesKeyOf,
  blobs,
  bytesByHash,
  hashOf,
  image,
  newJob,
  noBlobs,
  nobody,
  retention,
  succeeded,
  useTestQueue,
} from '../test-support/test-queue.ts'

const queue = useTestQueue()

describe('a canceled job', () => {
  test('that waits ends at once, whichever API process is asked, and leaves its place and its image', async () => {
    const job = newJob()
    await queue.client.submit(job, blobs)
    const seen = await collectEvents(queue.client, job.id)
    const other = await queue.connect()
    expect(await other.cancel(job.id)).toMatchObject({ status: 'canceled', output: null, attempts: 0 })
    await expect.poll(seen.states).toEqual(['queued', 'canceled'])
    await seen.ended
    expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
    const left = (await queue.redis.keys('*')).filter((key) => key.includes(job.id) || key.includes(hashOf(job)))
    expect(left).toEqual([resultKey(job.id)])
    const taken: string[] = []
    queue.consume(async ({ id, job: delivered }) => {
      taken.push(id)
      if (delivered !== null) await queue.resultStore().finish(delivered, succeeded(delivered, 'a'))
      return { kind: 'done' }
    })
    const next = newJob()
    await queue.client.submit(next, blobs)
    await queue.client.waitFor(next.id, 10_000)
    expect(taken).toEqual([next.id])
  })

  test('that runs is dropped by its consumer, and a result that comes after all is not seen', async () => {
    const [obedient, deaf] = [newJob(), newJob()]
    const results = queue.resultStore()
    const cancellations = queue.listenForCancellations()
    let launch = (): void => {}
    queue.consume(async ({ job }) => {
      if (job === null) throw new Error('unreadable')
      const { signal, release } = cancellations.hold(job.id)
      await new Promise<void>((resolve) => {
        if (job.id === obedient.id) signal.addEventListener('abort', () => resolve())
        else launch = resolve
      })
      release()
      const late = await results.finish(job, succeeded(job, 'late'))
      expect(late).toBe(false)
      return { kind: 'done' }
    })
    for (const job of [obedient, deaf]) {
      await queue.client.submit(job, blobs)
      await expect.poll(async () => (await queue.client.read(job.id))?.status).toBe('running')
      expect(await queue.client.cancel(job.id)).toMatchObject({ status: 'canceled', attempts: 1 })
    }
    launch()
    await expect.poll(async () => queue.redis.exists(`vq:{m}:jobs:${obedient.id}`, `vq:{m}:jobs:${deaf.id}`)).toBe(0)
    for (const { id } of [obedient, deaf]) {
      expect(await queue.client.read(id)).toMatchObject({ status: 'canceled', output: null })
    }
  })

  test('that is final stays as it is, again and again; one that nobody knows is null', async () => {
    const [done, canceled] = [newJob(), newJob()]
    for (const job of [done, canceled]) await queue.client.submit(job, blobs)
    await queue.resultStore().finish(done, succeeded(done, 'a'))
    expect(await queue.client.cancel(done.id)).toMatchObject({ status: 'succeeded', output: { answer: 'a' } })
    const first = await queue.client.cancel(canceled.id)
    expect(await queue.client.cancel(canceled.id)).toEqual(first)
    expect(await queue.client.cancel(nobody)).toBeNull()
  })

  test('has one final state, the same for all, however closely its cancellation and its result race', async () => {
    const roomy = await queue.connect({ maxJobs: 100, maxBytes: 100_000 })
    const results = queue.resultStore()
    queue.consume(async ({ job }) => {
      if (job !== null) await results.finish(job, succeeded(job, 'a'))
      return { kind: 'done' }
    })
    const jobs = Array.from({ length: 60 }, () => newJob())
    await Promise.all(
      jobs.map(async (job, index) => {
        await roomy.submit(job, blobs)
        const seen = await collectEvents(roomy, job.id)
        if (index % 3 > 0) await new Promise((resolve) => void setTimeout(resolve, index % 7))
        const told = await roomy.cancel(job.id)
        await expect.poll(() => seen.states().at(-1)).toBe(told?.status)
        expect(await roomy.read(job.id)).toEqual(told)
        expect(seen.states().filter((status) => status === 'canceled' || status === 'succeeded')).toHaveLength(1)
      }),
    )
    await expect.poll(async () => roomy.depth('m')).toEqual({ jobs: 0, bytes: 0 })
    await expect.poll(async () => (await queue.redis.keys('vq:{m}:jobs:job_*')).length).toBe(0)
  })
})

test('a job whose deadline passes while no consumer is there is expired for whoever asks', async () => {
  const job = { ...newJob(), deadlineAt: Date.now() + 20 }
  await queue.client.submit(job, blobs)
  await expect
    .poll(async () => queue.client.read(job.id))
    .toMatchObject({ status: 'expired', error: { code: 'deadline_exceeded' } })
  expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
  expect(await queue.redis.exists(`vq:{m}:jobs:${job.id}`)).toBe(0)
})

describe('another try', () => {
  const kept = { failedPayloadTtlMs: 10_000, failedPayloadMaxBytes: 250 }

  async function fail(job: QueuedJob, its: typeof kept = kept): Promise<void> {
    const final = finalJob(job, { status: 'failed', attempts: 1 }, 60_000)
    await queue.resultStore(its).finish(job, final)
  }

  test('of a failed or canceled job has its image under a new id; the old one stays as it ended', async () => {
    const keeping = await queue.connect({ retention: { ...retention, ...kept } })
    const [failed, canceled] = [newJob(), newJob(Buffer.alloc(100, 1))]
    await keeping.submit(failed, blobs)
    await keeping.submit(canceled, bytesByHash(Buffer.alloc(100, 1)))
    await fail(failed)
    await keeping.cancel(canceled.id)
    // Neither counts as waiting, and both read as what they are.
    expect(await keeping.depth('m')).toEqual({ jobs: 0, bytes: 0 })
    expect([(await keeping.read(failed.id))?.status, (await keeping.read(canceled.id))?.status]).toEqual([
      'failed',
      'canceled',
    ])
    queue.consume(async ({ job, readBlobs }) => {
      if (job === null) throw new Error('unreadable')
      const [bytes] = (await readBlobs(job)) ?? []
      await queue.resultStore(kept).finish(job, succeeded(job, `${bytes?.length} bytes`))
      return { kind: 'done' }
    })
    for (const { id } of [failed, canceled]) {
      const old = await keeping.readForRetry(id)
      if (old === null) throw new Error('not kept')
      const again = { ...old, id: newJob().id, retryOf: id }
      await keeping.submit(again, noBlobs)
      const done = await keeping.waitFor(again.id, 10_000)
      expect(done).toMatchObject({ status: 'succeeded', retry_of: id, output: { answer: '100 bytes' } })
      expect((await keeping.read(id))?.status).not.toBe('succeeded')
    }
  })

  test.each(['after', 'while'])('of a canceled job has its image, though a result comes %s it', async (when) => {
    const keeping = await queue.connect({
      maxJobs: 100,
      maxBytes: 100_000,
      retention: { ...retention, ...kept, failedPayloadMaxBytes: 100_000 },
    })
    const results = queue.resultStore({ ...kept, failedPayloadMaxBytes: 100_000 })
    let canceled = 0
    for (let round = 0; round < 40; round += 1) {
      const bytes = Buffer.alloc(100, round)
      const job = newJob(bytes)
      await keeping.submit(job, bytesByHash(bytes))
      const late = async (): Promise<boolean> => results.finish(job, succeeded(job, 'late'))
      const ended =
        when === 'after'
          ? [await keeping.cancel(job.id), await late()]
          : await Promise.all([keeping.cancel(job.id), late()])
      if ((await keeping.read(job.id))?.status !== 'canceled') continue
      canceled += 1
      expect(ended).toMatchObject([{ status: 'canceled' }, false])
      const old = await keeping.readForRetry(job.id)
      expect(old).toMatchObject({ parts: job.parts, metadata: job.metadata, input: job.input })
      const again = { ...newJob(bytes), retryOf: job.id }
      await keeping.submit(again, noBlobs)
      await results.finish(again, succeeded(again, 'a'))
    }
    expect(canceled).toBeGreaterThanOrEqual(when === 'after' ? 40 : 0)
  })

  test('of a job that succeeded first is not kept for, though its cancellation comes meanwhile', async () => {
    const keeping = await queue.connect({ retention: { ...retention, ...kept } })
    const job = newJob()
    await keeping.submit(job, blobs)
    await queue.resultStore(kept).finish(job, succeeded(job, 'a'))
    // As a cancellation that looked before the result was there.
    const final = finalJob(job, { status: 'canceled', attempts: 0 }, 60_000)
    expect(await queue.resultStore(kept).finish(job, final)).toBe(false)
    expect(await queue.redis.exists(jobKey(job.id), bytesKeyOf(job), keptKey('m'))).toBe(0)
    expect(await queue.redis.keys('vq:owned:*:canceled')).toEqual([])
  })

  test('has its image for its time and no longer, whoever used the image in between', async () => {
    const keeping = await queue.connect({ payloadTtlMs: 600_000, retention: { ...retention, ...kept } })
    const left = async (): Promise<number> => queue.redis.pttl(bytesKeyOf(newJob()))
    const first = newJob()
    await keeping.submit(first, blobs)
    await keeping.cancel(first.id)
    expect(await left()).toBeLessThanOrEqual(kept.failedPayloadTtlMs)
    const [again, other] = [newJob(), newJob()]
    await keeping.submit(again, blobs)
    await keeping.submit(other, blobs)
    expect(await left()).toBeGreaterThan(kept.failedPayloadTtlMs)
    await queue.resultStore(kept).finish(again, succeeded(again, 'a'))
    // One still needs it.
    expect(await left()).toBeGreaterThan(kept.failedPayloadTtlMs)
    await queue.resultStore(kept).finish(other, succeeded(other, 'a'))
    expect(await left()).toBeLessThanOrEqual(kept.failedPayloadTtlMs)
    expect(await left()).toBeGreaterThan(kept.failedPayloadTtlMs / 2)
    // One that is admitted for a shorter time doesn't shorten that of the others.
    const hasty = await queue.connect({ payloadTtlMs: 200, retention: { ...retention, ...kept } })
    await hasty.submit(newJob(), blobs)
    expect(await left()).toBeGreaterThan(kept.failedPayloadTtlMs / 2)
  })

  test('is not for a job that waits, has succeeded, or whose image is gone', async () => {
    const [waiting, done, gone] = [newJob(), newJob(), newJob()]
    for (const job of [waiting, done, gone]) await queue.client.submit(job, blobs)
    await queue.resultStore().finish(done, succeeded(done, 'a'))
    await fail(gone, { ...kept, failedPayloadTtlMs: 0 })
    for (const { id } of [waiting, done, gone]) {
      await expect(queue.client.readForRetry(id)).rejects.toMatchObject({ code: 'job_not_retryable' })
    }
    expect(await queue.client.readForRetry(nobody)).toBeNull()
    const other = newJob(Buffer.alloc(100, 2))
    const unkept = queue.client.submit({ ...other, retryOf: gone.id }, noBlobs)
    await expect(unkept).rejects.toMatchObject({ code: 'job_not_retryable' })
    expect(await queue.client.depth('m')).toMatchObject({ jobs: 1 })
  })

  test('keeps images within its bound, and each until its time is over', async () => {
    const images = [1, 2, 3].map((fill) => Buffer.alloc(100, fill))
    const jobs = images.map((bytes) => newJob(bytes))
    for (const [index, job] of jobs.entries()) await queue.client.submit(job, bytesByHash(images[index] ?? image))
    for (const job of jobs) await fail(job)
    // The same once more, as after a redelivery: counted once.
    for (const job of jobs) await fail(job)
    const keys = jobs.map((job) => bytesKeyOf(job))
    expect(await Promise.all(keys.map(async (key) => queue.redis.exists(key)))).toEqual([1, 1, 0])
    expect(await queue.redis.hget('vq:{m}:kept-bytes', '')).toBe('200')
    // A later job with such an image doesn't take it along when it ends.
    const later = newJob(images[0])
    await queue.client.submit(later, bytesByHash(images[0] ?? image))
    await queue.resultStore(kept).finish(later, succeeded(later, 'a'))
    expect(await queue.redis.exists(keys[0] ?? '')).toBe(1)
    const bookkeeping = (await queue.redis.keys('vq:*')).filter((key) => /blob|kept/.test(key))
    for (const key of bookkeeping) expect([key, (await queue.redis.pttl(key)) > 0]).toEqual([key, true])
  })

  test('is over with the time that images are kept, while the result can still be read', async () => {
    const job = newJob()
    await queue.client.submit(job, blobs)
    await fail(job, { ...kept, failedPayloadTtlMs: 100 })
    await expect.poll(async () => queue.redis.exists(bytesKeyOf(job))).toBe(0)
    await expect
      .poll(async () => queue.client.readForRetry(job.id).catch((error: unknown) => Reflect.get(Object(error), 'code')))
      .toBe('job_not_retryable')
    expect(await queue.client.read(job.id)).toMatchObject({ status: 'failed' })
    const next = newJob(Buffer.alloc(100, 9))
    await queue.client.submit(next, bytesByHash(Buffer.alloc(100, 9)))
    await fail(next)
    expect(await queue.redis.hget('vq:{m}:kept-bytes', '')).toBe('100')
  })
})
