import { idempotencyKey } from '../keys.ts'
import { type Job, VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import type { Claimed, IdempotencyClaim, IdempotentRequest } from './idempotency-keys.ts'
import type { JobClient } from './job-client.ts'
import { blobs, limits, newJob, noBlobs, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()
const request: IdempotentRequest = { owner: null, key: 'k', digest: 'd', leaseMs: 400 }

function claimOf(claimed: Claimed): IdempotencyClaim {
  if (claimed.kind !== 'claimed') throw new Error('the key was known')
  return claimed.claim
}

/** Claims and submits, as a request does; where it fails, the claim is released. */
async function submitOnce(
  client: JobClient,
  changes: Partial<IdempotentRequest> = {},
): Promise<{ job: Job; known: boolean }> {
  const claimed = await client.claim({ ...request, ...changes })
  if (claimed.kind === 'known') return { job: claimed.job, known: true }
  const { claim } = claimed
  try {
    const { job } = await client.submit({ ...newJob(), id: claim.id, owner: changes.owner ?? null }, blobs, { claim })
    return { job, known: false }
  } catch (error) {
    await claim.release(error)
    throw error
  }
}

const left = async (): Promise<string[]> => queue.redis.keys('vq:{idempotency:*')

describe('one key, one job', () => {
  test('of 20 requests at once through two API processes', async () => {
    const other = await queue.connect()
    const all = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => submitOnce(index % 2 === 0 ? queue.client : other)),
    )
    expect(new Set(all.map(({ job }) => job.id)).size).toBe(1)
    expect(all.filter(({ known }) => !known)).toHaveLength(1)
    expect(await queue.client.depth('m')).toMatchObject({ jobs: 1 })
  })

  test('also when it has ended, until its result is forgotten; then the key is free', async () => {
    const { job } = await submitOnce(queue.client)
    queue.consume(async ({ job: delivered }) => {
      if (delivered !== null) await queue.resultStore().finish(delivered, succeeded(delivered, 'a'))
      return { kind: 'done' }
    })
    await queue.client.waitFor(job.id, 10_000)
    const again = await submitOnce(queue.client)
    expect(again).toMatchObject({ known: true, job: { id: job.id, status: 'succeeded', output: { answer: 'a' } } })
    const [resultTtl, keyTtl] = await Promise.all([
      queue.redis.pttl(`vq:result:${job.id}`),
      queue.redis.pttl((await left())[0] ?? ''),
    ])
    expect(Math.abs(resultTtl - keyTtl)).toBeLessThan(1000)
    await queue.redis.del(`vq:result:${job.id}`)
    const fresh = await submitOnce(queue.client, { digest: 'another' })
    expect([fresh.known, fresh.job.id === job.id]).toEqual([false, false])
  })

  test('of a job that is answered at once, whose key lapses with it', async () => {
    const digest = 'asked before'
    const first = newJob()
    await queue.client.submit({ ...first, cache: true }, blobs)
    await queue.resultStore().finish({ ...first, cache: true }, { ...succeeded(first, 'a'), variant: 'int8' }, digest)
    const claim = claimOf(await queue.client.claim(request))
    const job = { ...newJob(), id: claim.id, cache: true }
    const accepted = await queue.client.submit(job, blobs, { claim, digest })
    expect(accepted.answeredFrom).toBe('redis')
    expect(await queue.redis.pttl((await left())[0] ?? '')).toBeLessThanOrEqual(60_000)
    expect(await submitOnce(queue.client)).toMatchObject({ known: true, job: { id: claim.id } })
  })

  test('of each owner', async () => {
    const jobs = [
      await submitOnce(queue.client),
      await submitOnce(queue.client, { owner: 'a' }),
      await submitOnce(queue.client, { owner: 'b', digest: 'another' }),
    ]
    expect(jobs.map(({ known }) => known)).toEqual([false, false, false])
    expect(await submitOnce(queue.client, { owner: 'a' })).toMatchObject({ known: true, job: { id: jobs[1]?.job.id } })
  })

  test('asked for something else it is a conflict, while the first request is served and after', async () => {
    const claim = claimOf(await queue.client.claim(request))
    await expect(queue.client.claim({ ...request, digest: 'e' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    })
    await queue.client.submit({ ...newJob(), id: claim.id }, blobs, { claim })
    await expect(queue.client.claim({ ...request, digest: 'e' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    })
  })

  test('the key itself is not kept, and of the job no more than its hash', async () => {
    await submitOnce(queue.client, { key: 'customer 42'.replace(' ', '-') })
    const names = await queue.redis.keys('*')
    expect(names.join()).not.toContain('customer-42')
    expect(names).toContain(idempotencyKey(null, /:([^:]*)\}$/.exec((await left())[0] ?? '')?.[1] ?? ''))
  })
})

describe('a submission that is refused leaves its key free', () => {
  test('for the same again, and for something else', async () => {
    const full = await queue.connect({ maxJobs: 0 })
    await expect(submitOnce(full)).rejects.toMatchObject({ code: 'queue_full' })
    expect(await left()).toEqual([])
    expect(await submitOnce(queue.client, { digest: 'another' })).toMatchObject({ known: false })
  })

  test('where nobody knows whether it was queued, the next try does not wait and has the same id', async () => {
    const claim = claimOf(await queue.client.claim(request))
    await claim.send()
    await claim.release(new VisionQueueError('queue_unavailable', 'Redis did not answer.'))
    const startedAt = performance.now()
    const { job, known } = await submitOnce(queue.client)
    expect([known, job.id]).toEqual([false, claim.id])
    expect(performance.now() - startedAt).toBeLessThan(3000)
  })

  test('and who waits for it takes its turn', async () => {
    const claim = claimOf(await queue.client.claim({ ...request, leaseMs: 10_000 }))
    const waiting = submitOnce(await queue.connect())
    await claim.release(new VisionQueueError('image_unreachable', 'It is not there.'))
    expect(await waiting).toMatchObject({ known: false })
  })
})

describe('a process that dies with a key in hand', () => {
  test('before it submits: the key is free when the lease is over', async () => {
    const claim = claimOf(await queue.client.claim(request))
    const startedAt = performance.now()
    expect(await submitOnce(await queue.connect())).toMatchObject({ known: false })
    expect(performance.now() - startedAt).toBeGreaterThan(200)
    // Should it live after all, it is told, and makes no second job.
    await expect(queue.client.submit({ ...newJob(), id: claim.id }, blobs, { claim })).rejects.toMatchObject({
      code: 'idempotency_in_flight',
    })
    await claim.release(new Error('whatever'))
    expect(await submitOnce(queue.client)).toMatchObject({ known: true })
    expect(await queue.client.depth('m')).toMatchObject({ jobs: 1 })
  })

  test('while it submits: the next one uses the same id, so that there is one job at most', async () => {
    const claim = claimOf(await queue.client.claim(request))
    await claim.send()
    await endLease()
    const { job, known } = await submitOnce(queue.client)
    expect([known, job.id]).toEqual([false, claim.id])
    // The first one was only slow.
    await queue.client.submit({ ...newJob(), id: claim.id }, blobs)
    expect(await queue.client.depth('m')).toMatchObject({ jobs: 1 })
  })

  test('while it submits something else: the key is not held against the next one', async () => {
    const claim = claimOf(await queue.client.claim(request))
    await claim.send()
    await endLease()
    const { job, known } = await submitOnce(queue.client, { digest: 'another' })
    expect([known, job.id === claim.id]).toEqual([false, false])
  })

  test('after its job was queued: that job is the answer', async () => {
    const claim = claimOf(await queue.client.claim(request))
    await claim.send()
    await queue.client.submit({ ...newJob(), id: claim.id }, blobs)
    await endLease()
    expect(await submitOnce(queue.client)).toMatchObject({ known: true, job: { id: claim.id } })
    await expect(submitOnce(queue.client, { digest: 'another' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    })
  })

  /** As time does. */
  async function endLease(): Promise<void> {
    await queue.redis.hset((await left())[0] ?? '', 'until', 0)
  }
})

test('who waits for a submission that never ends is told to ask again', async () => {
  const claim = claimOf(await queue.client.claim(request))
  await claim.send()
  const renewing = setInterval(() => {
    claim.send().catch(() => {})
  }, 50)
  try {
    await expect(queue.client.claim(request)).rejects.toMatchObject({
      code: 'idempotency_in_flight',
      retryAfterMs: 1000,
    })
  } finally {
    clearInterval(renewing)
  }
}, 20_000)

test('a job that is run again does not carry the key on', async () => {
  const { job } = await submitOnce(queue.client)
  const client = await queue.connect({ retention: { ...limits.retention, failedPayloadTtlMs: 60_000 } })
  await client.cancel(job.id)
  const record = await client.readForRetry(job.id)
  if (record === null) throw new Error('it is kept')
  expect(record.idempotencyKeyHash).toBeDefined()
  const again = newJob().id
  await client.submit({ ...record, id: again }, noBlobs)
  expect(await queue.redis.get(`vq:job:${again}`)).not.toContain('idempotencyKeyHash')
})
