import { ownerBytesKey, ownerJobsKey } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'
import { describe, expect, test } from 'vitest'

import { createOwnerQuotas } from './owner-quota.ts'
import { blobs, limits, newJob, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()
const owner = 'abcdefABC123'
const owned = (changes: Partial<QueuedJob> = {}): QueuedJob => ({ ...newJob(), owner, ...changes })

describe('what a key has in the queue', () => {
  test('is bounded exactly, over all models and all processes', async () => {
    const clients = [queue.client, await queue.connect({ maxJobs: 1000, maxBytes: 1_000_000 })]
    const quota = { maxJobs: 2, maxBytes: null }
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, index) =>
        clients[index % 2]?.submit(owned({ model: `m${index % 5}` }), blobs, { quota }),
      ),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
    const refused = outcomes.find((outcome) => outcome.status === 'rejected')
    expect(refused?.reason).toMatchObject({ code: 'quota_exceeded', detail: expect.stringContaining('2 unfinished') })
    // Another key is not concerned, nor who has none.
    await queue.client.submit(owned({ owner: 'abcdefABC124' }), blobs, { quota })
    await queue.client.submit(newJob(), blobs, { quota })
  })

  test('is bounded in bytes', async () => {
    const quota = { maxJobs: null, maxBytes: 250 }
    await queue.client.submit(owned(), blobs, { quota })
    await queue.client.submit(owned(), blobs, { quota })
    await expect(queue.client.submit(owned(), blobs, { quota })).rejects.toMatchObject({
      code: 'quota_exceeded',
      detail: expect.stringContaining('200 bytes'),
    })
  })

  test('becomes less with each job that is final, and leaves nothing behind', async () => {
    const quota = { maxJobs: 1, maxBytes: 100 }
    for (const answer of ['a', 'b']) {
      const job = owned()
      await queue.client.submit(job, blobs, { quota })
      await expect(queue.client.submit(owned(), blobs, { quota })).rejects.toMatchObject({ code: 'quota_exceeded' })
      await queue.resultStore().finish(job, succeeded(job, answer))
      // As a job that was run twice does.
      await queue.resultStore().finish(job, succeeded(job, answer))
    }
    expect(await queue.redis.keys('vq:{owner*')).toEqual([])
  })

  test('does not grow with what the queue refuses, nor with what is answered at once', async () => {
    const quota = { maxJobs: 10, maxBytes: null }
    const full = await queue.connect({ maxJobs: 1 })
    await full.submit(newJob(), blobs)
    await expect(full.submit(owned(), blobs, { quota })).rejects.toMatchObject({ code: 'queue_full' })
    const first = owned({ model: 'other' })
    await queue.resultStore().finish(first, { ...succeeded(first, 'a'), version: '1', variant: 'int8' }, 'digest')
    const again = await queue.client.submit(owned({ model: 'other' }), blobs, { quota, digest: 'digest' })
    expect(again.answeredFrom).toBe('redis')
    expect(await queue.redis.exists(ownerJobsKey(owner))).toBe(0)
  })

  test('lapses where a job is lost', async () => {
    const quotas = createOwnerQuotas(queue.redis)
    const quota = { maxJobs: 1, maxBytes: null }
    await quotas.take(owned(), quota, 60)
    await expect(quotas.take(owned(), quota, 60_000)).rejects.toMatchObject({ code: 'quota_exceeded' })
    await expect.poll(async () => quotas.take(owned(), quota, 60_000).catch(() => 'full')).toBeUndefined()
    expect(await queue.redis.hget(ownerBytesKey(owner), '')).toBe('100')
    for (const key of [ownerJobsKey(owner), ownerBytesKey(owner)]) {
      expect(await queue.redis.pttl(key)).toBeGreaterThan(0)
    }
  })

  test('is not used up by submissions that Redis came to after they were given up', async () => {
    const quota = { maxJobs: 6, maxBytes: null }
    const roomy = await queue.connect({ maxJobs: 100, maxBytes: 100_000 })
    await roomy.submit(owned(), blobs, { quota })
    await queue.redis.client('PAUSE', 1000)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, async () => roomy.submit(owned(), blobs, { quota })),
    )
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual(
      outcomes.map(() => 'queue_unavailable'),
    )
    // Redis came to all of them by now, and carried none out.
    expect(await queue.redis.zcard(ownerJobsKey(owner))).toBe(1)
    expect(await roomy.depth('m')).toMatchObject({ jobs: 1 })
    const submitting = async (): Promise<string> => {
      return (await roomy.submit(owned(), blobs, { quota }).catch(() => null)) === null ? 'refused' : 'accepted'
    }
    for (let index = 0; index < 5; index += 1) expect(await submitting()).toBe('accepted')
    // What was admitted keeps its place: one before the pause and five after it.
    expect(await submitting()).toBe('refused')
    const lapses = await queue.redis.zrange(ownerJobsKey(owner), '0', '-1', 'WITHSCORES')
    expect(Number(lapses[1])).toBeGreaterThan(Date.now() + limits.payloadTtlMs - 15_000)
  })

  test('counts a job again that was admitted when its place had lapsed, and takes nothing twice', async () => {
    const [quotas, job] = [createOwnerQuotas(queue.redis), owned()]
    const quota = { maxJobs: 1, maxBytes: null }
    await quotas.take(job, quota, 20)
    await expect.poll(async () => queue.redis.exists(ownerJobsKey(owner))).toBe(0)
    for (let time = 0; time < 2; time += 1) await quotas.confirm(job, quota, 60_000)
    expect(await queue.redis.hgetall(ownerBytesKey(owner))).toEqual({ [job.id]: '100', '': '100' })
    await expect(quotas.take(owned(), quota, 60_000)).rejects.toMatchObject({ code: 'quota_exceeded' })
    await quotas.release(job)
    expect(await queue.redis.keys('vq:{owner*')).toEqual([])
  })

  test('counts a job once, however often it is submitted', async () => {
    const [quotas, job] = [createOwnerQuotas(queue.redis), owned()]
    for (let time = 0; time < 3; time += 1) await quotas.take(job, { maxJobs: 1, maxBytes: 100 }, 60_000)
    expect(await queue.redis.hget(ownerBytesKey(owner), '')).toBe('100')
  })

  test('costs nothing where there is no quota', async () => {
    await queue.client.submit(owned(), blobs, { quota: { maxJobs: null, maxBytes: null } })
    expect(await queue.redis.keys('vq:{owner*')).toEqual([])
  })
})

describe("another's job", () => {
  test('is as one that is not known, without waiting for it', async () => {
    const job = owned()
    await queue.client.submit(job, blobs)
    const others = queue.client.of('somebody else')
    await expect(others.events(job.id).open()).rejects.toMatchObject({ code: 'job_not_found' })
    expect(await others.waitFor(job.id, 60_000)).toBeNull()
    expect((await queue.client.of(owner).read(job.id))?.owner).toBe(owner)
  })

  test('stays so while its owner waits for it', async () => {
    const job = owned()
    await queue.client.submit(job, blobs)
    const others = queue.client.of('somebody else')
    const waiting = queue.client.of(owner).waitFor(job.id, 60_000)
    expect(await others.waitFor(job.id, 60_000)).toBeNull()
    await queue.resultStore().finish(job, succeeded(job, 'a'))
    expect(await waiting).toMatchObject({ status: 'succeeded', owner })
    expect(await others.waitFor(job.id, 60_000)).toBeNull()
  })
})
