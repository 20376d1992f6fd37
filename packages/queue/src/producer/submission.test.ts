import { blobBytesKey, createRedisBlobs, inlineValues } from '@vision-queue/blobs'
import { beforeEach, describe, expect, test, vi } from 'vitest'

import { createJobBlobs } from '../job-blobs.ts'
import { createJobQueues } from '../job-queues.ts'
import { endedBytesKey } from '../keys.ts'
import { turnsOf } from '../redis-turns.ts'
import {
  blobPart,
  blobs,
  bytesByHash,
  bytesKeyOf,
  image,
  limits,
  newJob,
  retention,
  succeeded,
  useTestQueue,
} from '../test-support/test-queue.ts'
import { createJobIndex } from './job-index.ts'
import { createKnownAnswers } from './known-answers.ts'
import { createLatelySeen } from './lately-seen.ts'
import { createSubmission } from './submission.ts'

const queue = useTestQueue()

/** How often Redis has carried out each of these commands since `forget`, inside scripts too. */
async function countCalls(...commands: string[]): Promise<number[]> {
  const info = await queue.redis.info('commandstats')
  return commands.map((command) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(info)?.[1] ?? 0))
}
const forget = async (): Promise<unknown> => queue.redis.config('RESETSTAT')

beforeEach(async () => {
  // Redis has the scripts from here on.
  const job = newJob()
  await queue.client.submit(job, blobs)
  await queue.resultStore().finish(job, succeeded(job, 'a'))
  // Counted a moment later, by a script of its own.
  await vi.waitFor(async () => {
    if ((await queue.redis.exists(endedBytesKey(null, true))) === 0) throw new Error('not counted yet')
  })
})

describe('a submission', () => {
  test('is one script, and those of one turn of the event loop are one together', async () => {
    const roomy = await queue.connect({ maxJobs: 100, maxBytes: 1e6 })
    await forget()
    await roomy.submit(newJob(), blobs)
    expect(await countCalls('evalsha', 'eval')).toEqual([1, 0])
    await forget()
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const bytes = Buffer.alloc(9, index)
        return roomy.submit(newJob(bytes), bytesByHash(bytes))
      }),
    )
    expect(await countCalls('evalsha', 'eval')).toEqual([1, 0])
  })

  test('sends no bytes that others were seen to hold, and sends them where that was wrong', async () => {
    const jobs = [newJob(), newJob(), newJob()]
    const sets: number[] = []
    for (const job of jobs) {
      await forget()
      await queue.client.submit(job, blobs)
      sets.push((await countCalls('set'))[0] ?? 0)
    }
    // The bytes and the record; then the record alone.
    expect(sets).toEqual([2, 2, 1])
    const results = queue.resultStore()
    for (const job of jobs) await results.finish(job, succeeded(job, 'a'))
    const late = newJob()
    expect(await queue.redis.exists(bytesKeyOf(late))).toBe(0)
    await queue.client.submit(late, blobs)
    expect(await queue.redis.getBuffer(bytesKeyOf(late))).toEqual(image)
    expect(await queue.client.depth('m')).toEqual({ jobs: 1, bytes: image.length })
  })

  test('that is refused leaves no bytes, and those that follow send none', async () => {
    for (let index = 0; index < limits.maxJobs; index += 1) await queue.client.submit(newJob(), blobs)
    const refused = async (content: number): Promise<string> => {
      const bytes = Buffer.alloc(100, content)
      const job = newJob(bytes)
      await expect(queue.client.submit(job, bytesByHash(bytes))).rejects.toMatchObject({ code: 'queue_full' })
      return bytesKeyOf(job)
    }
    const first = await refused(50)
    await forget()
    const others = [await refused(51), await refused(52), await refused(53)]
    expect(await countCalls('evalsha', 'set', 'unlink')).toEqual([3, 0, 0])
    expect(await queue.redis.exists(first, ...others)).toBe(0)
  })

  test('for which there is room again soon after a refusal has its bytes', async () => {
    const jobs = Array.from({ length: limits.maxJobs }, () => newJob())
    for (const job of jobs) await queue.client.submit(job, blobs)
    const bytes = Buffer.alloc(100, 60)
    const job = newJob(bytes)
    await expect(queue.client.submit(job, bytesByHash(bytes))).rejects.toMatchObject({ code: 'queue_full' })
    const [first] = jobs
    if (first !== undefined) await queue.resultStore().finish(first, succeeded(first, 'a'))
    await queue.client.submit(job, bytesByHash(bytes))
    expect(await queue.redis.getBuffer(bytesKeyOf(job))).toEqual(bytes)
    expect(await queue.redis.pttl(blobBytesKey({ space: null, hash: blobPart(bytes).hash }))).toBeGreaterThan(50_000)
  })

  test('is accepted by a Redis whose clock was set forward since it was asked', async () => {
    const redis = queue.redis
    const turns = turnsOf(redis)
    const { submit } = createSubmission({
      turns,
      retention,
      results: queue.resultStore(),
      queues: createJobQueues(redis),
      clock: {
        toRedis: (at) => at - 60_000,
        toLocal: (at) => at,
        jobToRedis: (job) => job,
        jobToLocal: (job) => job,
        close() {},
      },
      jobBlobs: createJobBlobs(redis, createRedisBlobs(redis)),
      values: inlineValues,
      index: createJobIndex({ redis, listLength: 0, keepMs: 1000 }),
      known: createKnownAnswers(0),
      seen: createLatelySeen(),
      limits,
      placeMs: 1000,
      patienceMs: 500,
    })
    expect(await submit(newJob(), blobs)).toMatchObject({ job: { status: 'queued' }, queuePosition: 0 })
  })
})
