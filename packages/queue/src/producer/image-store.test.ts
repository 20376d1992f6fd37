import { createHash } from 'node:crypto'

import { payloadKey, uploadFactsKey, uploadHoldersKey, uploadKey, uploadLapsesKey } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'
import { describe, expect, test, vi } from 'vitest'

import { type ImageStore, type ImageStoreOptions, openImageStore } from './image-store.ts'
import { newJob, noBlobs, quiet, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()

async function openStore(options: Partial<ImageStoreOptions> = {}): Promise<ImageStore> {
  const redisUrl = `redis://127.0.0.1:${queue.redis.options.port}`
  const store = openImageStore({
    redisUrl,
    commandTimeoutMs: 500,
    log: quiet,
    imageTtlMs: 60_000,
    maxBytes: 1000,
    ...options,
  })
  queue.atEnd(() => store.close())
  await vi.waitFor(async () => store.read('0'.repeat(64)))
  return store
}

function picture(fill: number, bytes = 100): { facts: Parameters<ImageStore['keep']>[0]; bytes: Buffer } {
  const buffer = Buffer.alloc(bytes, fill)
  const hash = createHash('sha256').update(buffer).digest('hex')
  return { facts: { hash, bytes, type: 'image/png', width: 3, height: 2 }, bytes: buffer }
}

function jobOn(facts: Parameters<ImageStore['keep']>[0]): QueuedJob {
  const { hash, bytes, type } = facts
  return {
    ...newJob(),
    parts: [{ kind: 'blob', name: 'image', hash, bytes, type, old: { name: hash, uploaded: true } }],
  }
}

/** What the bound counts. */
async function heldBytes(): Promise<number> {
  return Number(await queue.redis.hget(uploadFactsKey, ''))
}

const { facts, bytes } = picture(1)

describe('an uploaded image', () => {
  test('is stored once and read with what is known of it', async () => {
    const store = await openStore()
    const kept = await store.keep(facts, bytes)
    expect(await store.read(facts.hash)).toEqual(kept)
    expect(kept).toMatchObject(facts)
    await store.keep(facts, bytes)
    expect(await queue.redis.getBuffer(uploadKey(facts.hash))).toEqual(bytes)
    expect(await heldBytes()).toBe(100)
  })

  test('lives longer when it is uploaded again, and never shorter', async () => {
    const [long, short] = [await openStore(), await openStore({ imageTtlMs: 1000 })]
    const first = await short.keep(facts, bytes)
    const renewed = await long.keep(facts, bytes)
    expect(renewed.expiresAt).toBeGreaterThan(first.expiresAt + 50_000)
    expect((await short.keep(facts, bytes)).expiresAt).toBe(renewed.expiresAt)
    expect(await queue.redis.pttl(uploadKey(facts.hash))).toBeGreaterThan(50_000)
  })

  test('expires with all that is known of it, and leaves the bound', async () => {
    const store = await openStore({ imageTtlMs: 50, maxBytes: 150 })
    await store.keep(facts, bytes)
    await expect.poll(async () => store.read(facts.hash)).toBeNull()
    expect(await queue.redis.exists(uploadKey(facts.hash))).toBe(0)
    const other = picture(2)
    await store.keep(other.facts, other.bytes)
    expect(await heldBytes()).toBe(100)
    expect(await queue.redis.zrangebyscore(uploadLapsesKey, '-inf', '+inf')).toEqual([other.facts.hash])
    expect(await queue.redis.hget(uploadFactsKey, facts.hash)).toBeNull()
  })

  test('that Redis lost is stored anew', async () => {
    const store = await openStore()
    await store.keep(facts, bytes)
    await queue.redis.del(uploadKey(facts.hash))
    expect(await store.read(facts.hash)).toBeNull()
    await store.keep(facts, bytes)
    expect(await queue.redis.getBuffer(uploadKey(facts.hash))).toEqual(bytes)
    expect(await heldBytes()).toBe(100)
  })
})

describe('the bound on uploaded bytes', () => {
  test('is exact under a burst, and those that are there may be uploaded again', async () => {
    const store = await openStore({ maxBytes: 450 })
    const pictures = Array.from({ length: 20 }, (_, index) => picture(index))
    const outcomes = await Promise.allSettled(pictures.map((one) => store.keep(one.facts, one.bytes)))
    const kept = pictures.filter((_, index) => outcomes[index]?.status === 'fulfilled')
    expect([kept.length, await heldBytes()]).toEqual([4, 400])
    for (const one of kept) await store.keep(one.facts, one.bytes)
  })

  test('says when there will be room', async () => {
    const [long, short] = [await openStore({ maxBytes: 250 }), await openStore({ maxBytes: 250, imageTtlMs: 20_000 })]
    for (const [store, fill] of [[short, 1] as const, [long, 2] as const]) {
      const one = picture(fill)
      await store.keep(one.facts, one.bytes)
    }
    const refusal = async (bytes_: number): Promise<number> => {
      const one = picture(3, bytes_)
      const error: unknown = await long.keep(one.facts, one.bytes).catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code: 'uploads_full' })
      return Object(error).retryAfterMs
    }
    // The first to go makes room for 150 bytes, both for more.
    expect(await refusal(150)).toBeLessThanOrEqual(20_000)
    expect(await refusal(151)).toBeGreaterThan(50_000)
  })

  test('an image that is over it alone never gets in', async () => {
    const store = await openStore({ maxBytes: 99 })
    await expect(store.keep(facts, bytes)).rejects.toMatchObject({ code: 'payload_too_large' })
  })
})

describe('jobs on an uploaded image', () => {
  test('send no bytes: twenty questions read the one image', async () => {
    const client = await queue.connect({ maxJobs: 100, maxBytes: 10_000 })
    const store = await openStore()
    await store.keep(facts, bytes)
    const jobs = Array.from({ length: 20 }, () => jobOn(facts))
    for (const job of jobs) {
      expect(await store.hold(facts.hash, job.id, 60_000)).toMatchObject(facts)
      await client.submit(job, noBlobs)
    }
    expect(await client.depth('m')).toEqual({ jobs: 20, bytes: 2000 })
    expect(await queue.redis.keys(payloadKey('m', '*'))).toEqual([])
    const read: unknown[] = []
    queue.consume(async ({ job, readBlobs }) => {
      if (job === null) throw new Error('no job')
      read.push(await readBlobs(job))
      await queue.resultStore().finish(job, succeeded(job, 'a'))
      return { kind: 'done' }
    })
    for (const { id } of jobs) expect(await client.waitFor(id, 10_000)).toMatchObject({ status: 'succeeded' })
    expect(read).toEqual(jobs.map(() => bytes))
    expect(await store.read(facts.hash)).toMatchObject(facts)
  })

  test('keep its bytes beyond its own time, until the last of them is final', async () => {
    const store = await openStore({ imageTtlMs: 500 })
    await store.keep(facts, bytes)
    const [one, two] = [jobOn(facts), jobOn(facts)]
    for (const job of [one, two]) await store.hold(facts.hash, job.id, 60_000)
    await expect.poll(async () => store.read(facts.hash)).toBeNull()
    expect(await store.hold(facts.hash, newJob().id, 60_000)).toBeNull()
    await queue.resultStore().finish(one, succeeded(one, 'a'))
    expect(await queue.redis.getBuffer(uploadKey(facts.hash))).toEqual(bytes)
    expect(await heldBytes()).toBe(100)
    await queue.resultStore().finish(two, succeeded(two, 'a'))
    await queue.resultStore().finish(two, succeeded(two, 'a'))
    expect(await queue.redis.exists(uploadKey(facts.hash))).toBe(0)
    expect(await heldBytes()).toBe(0)
  })

  test('hold it for as long as they may be unfinished, though it was held for their submission for a moment', async () => {
    const store = await openStore({ imageTtlMs: 500 })
    await store.keep(facts, bytes)
    const [accepted, refused] = [jobOn(facts), jobOn(facts)]
    for (const job of [accepted, refused]) await store.hold(facts.hash, job.id, 700)
    await queue.client.submit(accepted, noBlobs)
    const held = async (): Promise<string[]> =>
      queue.redis.zrange(uploadHoldersKey(facts.hash), '0', '-1', 'WITHSCORES')
    expect(Number((await held()).at(-1))).toBeGreaterThan(Date.now() + 50_000)
    await expect.poll(async () => store.read(facts.hash)).toBeNull()
    await new Promise((resolve) => void setTimeout(resolve, 300))
    expect(await queue.redis.getBuffer(uploadKey(facts.hash))).toEqual(bytes)
    await queue.resultStore().finish(accepted, succeeded(accepted, 'a'))
    expect(await queue.redis.exists(uploadKey(facts.hash), uploadHoldersKey(facts.hash))).toBe(0)
  })

  test('put off its expiry', async () => {
    const [short, long] = [await openStore({ imageTtlMs: 1000 }), await openStore()]
    const { expiresAt } = await short.keep(facts, bytes)
    const held = await long.hold(facts.hash, newJob().id, 1000)
    expect(held?.expiresAt).toBeGreaterThan(expiresAt + 50_000)
  })

  test('whose end nobody told let go of it after their time', async () => {
    const store = await openStore({ imageTtlMs: 500 })
    await store.keep(facts, bytes)
    await store.hold(facts.hash, newJob().id, 700)
    await expect.poll(async () => queue.redis.exists(uploadKey(facts.hash))).toBe(0)
    const other = picture(2)
    await store.keep(other.facts, other.bytes)
    expect(await heldBytes()).toBe(100)
  })

  test('are not harmed when it is removed', async () => {
    const store = await openStore()
    await store.keep(facts, bytes)
    const job = jobOn(facts)
    await store.hold(facts.hash, job.id, 60_000)
    expect([await store.remove(facts.hash), await store.remove(facts.hash)]).toEqual([true, false])
    expect(await store.read(facts.hash)).toBeNull()
    expect(await queue.redis.getBuffer(uploadKey(facts.hash))).toEqual(bytes)
    await store.release(facts.hash, job.id)
    expect(await queue.redis.exists(uploadKey(facts.hash))).toBe(0)
    expect(await heldBytes()).toBe(0)
  })
})
