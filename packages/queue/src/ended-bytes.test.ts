import { endedBytesKey, jobKey, resultKey } from './keys.ts'
import { describe, expect, test } from 'vitest'

import { blobs, newJob, retention, succeeded, useTestQueue } from './test-support/test-queue.ts'

const queue = useTestQueue()
const hourMs = 3_600_000
const metadata = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`key-${index}`, 'x'.repeat(480)]))
const keeping = { ...retention, resultTtlMs: hourMs, failedResultTtlMs: 24 * hourMs, failedPayloadTtlMs: hourMs }

async function counted(owner: string | null, ended: boolean): Promise<number> {
  const counts = await queue.redis.hvals(endedBytesKey(owner, ended))
  return counts.reduce((sum, count) => sum + Number(count), 0)
}

describe('what the ended jobs of an owner hold', () => {
  test('is counted, and beyond the bound kept for minutes only, of one owner and of no other', async () => {
    const client = await queue.connect({ retention: { ...keeping, failedResultMaxBytes: 100_000 } })
    const cancel = async (owner: string | null): Promise<number> => {
      const job = { ...newJob(), owner, metadata }
      await client.submit(job, blobs)
      const canceled = await client.of(owner).cancel(job.id)
      const ttlMs = await queue.redis.pttl(resultKey(job.id))
      // What the job says is what it gets.
      expect(Math.abs(Date.parse(canceled?.expires_at ?? '') - Date.now() - ttlMs)).toBeLessThan(1000)
      // What another try needs goes before.
      expect(await queue.redis.pttl(jobKey(job.id))).toBeLessThan(ttlMs)
      return ttlMs
    }
    for (let index = 0; index < 8; index += 1) expect(await cancel('flood')).toBeGreaterThan(23 * hourMs)
    await expect.poll(async () => counted('flood', false)).toBeGreaterThan(60_000)
    await expect.poll(async () => cancel('flood'), { interval: 20, timeout: 10_000 }).toBeLessThan(hourMs / 10)
    const full = await counted('flood', false)
    for (let index = 0; index < 20; index += 1) expect(await cancel('flood')).toBeLessThan(hourMs / 10)
    expect(await counted('flood', false)).toBeLessThan(full + 100_000)
    expect(await cancel('quiet')).toBeGreaterThan(23 * hourMs)
    expect(await cancel(null)).toBeGreaterThan(23 * hourMs)
    expect(await queue.redis.pttl(endedBytesKey('flood', false))).toBeGreaterThan(23 * hourMs)
  }, 30_000)

  test('becomes less as it lapses', async () => {
    const results = queue.resultStore({ resultTtlMs: 1000, resultMaxBytes: 1 })
    const job = newJob()
    await results.finish(job, succeeded(job, 'a'))
    await expect.poll(async () => counted(null, true)).toBeGreaterThan(0)
    await expect.poll(async () => queue.redis.exists(endedBytesKey(null, true)), { timeout: 3000 }).toBe(0)
  })

  test('has a bound of its own for results, those too that were answered without a run', async () => {
    const [results, client] = [
      queue.resultStore({ ...keeping, resultMaxBytes: 5000 }),
      await queue.connect({ retention: { ...keeping, resultMaxBytes: 5000 }, answerMemoryBytes: 0 }),
    ]
    const first = newJob()
    await results.finish(first, { ...succeeded(first, 'a'), version: '1', variant: 'int8' }, 'digest')
    const ask = async (): Promise<number> => {
      const { job } = await client.submit({ ...newJob(), metadata }, blobs, { digest: 'digest' })
      expect(job.status).toBe('succeeded')
      expect(Date.parse(job.expires_at ?? '')).toBeLessThanOrEqual(Date.now() + hourMs)
      return queue.redis.pttl(resultKey(job.id))
    }
    expect(await ask()).toBeGreaterThan(hourMs / 2)
    await expect.poll(ask, { interval: 20, timeout: 10_000 }).toBeLessThan(hourMs / 10)
    // That fills nothing for jobs that fail.
    const canceled = newJob()
    await client.submit(canceled, blobs)
    await client.cancel(canceled.id)
    expect(await queue.redis.pttl(resultKey(canceled.id))).toBeGreaterThan(23 * hourMs)
  }, 30_000)
})

test('of a canceled job the metadata is stored once', async () => {
  const client = await queue.connect({ retention: keeping })
  const job = { ...newJob(), metadata }
  await client.submit(job, blobs)
  await client.cancel(job.id)
  const sizes = await Promise.all([resultKey(job.id), jobKey(job.id)].map(async (key) => queue.redis.strlen(key)))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  expect(total).toBeLessThan(JSON.stringify(metadata).length + 2000)
  expect(await client.readForRetry(job.id)).toMatchObject({ metadata, input: job.input })
})
