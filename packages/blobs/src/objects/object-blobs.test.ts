import { createHash, randomBytes } from 'node:crypto'

import { parseBlobStore } from '@vision-queue/process'
import { VisionQueueError } from '@vision-queue/protocol'
import { openFailFastConnection, type RedisClient } from '@vision-queue/redis'
import { type ObjectServer, startObjectServer } from '@vision-queue/test-support/object-server'
import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'

import type { BlobAddress, Blobs } from '../blobs.ts'
import { blobsConformance, type BlobStores } from '../conformance.ts'
import { blobBytesKey } from '../keys.ts'
import { createRedisBlobs } from '../redis-blobs.ts'
import { createRedisBudget } from '../redis-budget.ts'
import { markObject } from './object-store.ts'
import { createObjectSweep } from './object-sweep.ts'
import { type OpenBlobStore, openBlobStore } from './open-objects.ts'

const quiet = { info() {}, warn() {}, error() {} }
let redisServer: TestRedis
let server: ObjectServer
let redis: RedisClient
let store: OpenBlobStore
let blobs: Blobs
let stores: BlobStores

beforeAll(async () => {
  redisServer = await startTestRedis()
  server = await startObjectServer()
  for (const [name, value] of Object.entries(server.env)) vi.stubEnv(name, value)
  redis = openFailFastConnection({ redisUrl: redisServer.url, commandTimeoutMs: 5000, log: quiet, name: 'test' })
  await vi.waitFor(async () => redis.ping(), { timeout: 10_000 })
  store = await openBlobStore(parseBlobStore(server.blobStore))
  blobs = createRedisBlobs(redis, undefined, store.values)
  const budget = createRedisBudget(redis, { lapses: 'vq:{test}:lapses', bytes: 'vq:{test}:bytes' })
  stores = { blobs: [blobs, createRedisBlobs(redis, undefined, store.values)], budgets: [budget, budget] }
})
afterAll(async () => {
  store.close()
  redis.disconnect()
  await server.stop()
  await redisServer.stop()
  vi.unstubAllEnvs()
})
beforeEach(() => {
  server.trouble = null
})

blobsConformance('objects that Redis points to', () => stores)

const long = 60_000
/** Bytes that nobody has stored before. */
function made(length = 100_000): { bytes: Buffer; address: BlobAddress } {
  const bytes = randomBytes(length)
  return { bytes, address: { space: 'somebody/else', hash: createHash('sha256').update(bytes).digest('hex') } }
}

async function keep({ bytes, address }: ReturnType<typeof made>): Promise<string> {
  await blobs.hold(address, 'a', long)
  await blobs.put(address, bytes, long)
  return [...server.objects.keys()].find((name) => name.includes(address.hash)) ?? ''
}

describe('objects', () => {
  test('have the bytes, and Redis a short word of where they are', async () => {
    const one = made()
    const name = await keep(one)
    expect(server.objects.get(name)?.bytes).toEqual(one.bytes)
    expect(await redis.strlen(blobBytesKey(one.address))).toBeLessThan(300)
  })

  test('are not made of small blobs', async () => {
    const { values, close } = await openBlobStore(
      parseBlobStore(server.blobStore.replace('from_bytes=0', 'from_bytes=1000')),
    )
    const [small, large] = [made(999), made(1000)]
    expect([values.isInline(999), values.isInline(1000)]).toEqual([true, false])
    expect(await values.toValue(small.address, small.bytes)).toEqual(small.bytes)
    expect((await values.toValue(large.address, large.bytes)).length).toBeLessThan(300)
    close()
  })

  test('with other bytes than their hash says count as gone', async () => {
    const one = made()
    const name = await keep(one)
    server.objects.set(name, { bytes: randomBytes(100_000), storedAt: Date.now() })
    expect(await blobs.read(one.address)).toBeNull()
  })

  test('are swept an hour after they were put, where Redis does not point to them', async () => {
    server.objects.clear()
    const [held, ended, twice] = [made(), made(), made()]
    const names = [await keep(held), await keep(ended), await keep(twice)]
    await blobs.release(ended.address, 'a')
    // As by two that put the same at once.
    const spare = await store.values.toValue(twice.address, twice.bytes)
    expect(spare.length).toBeLessThan(300)
    const foreign = `vq/report.txt`
    server.objects.set(foreign, { bytes: Buffer.from('ours'), storedAt: 0 })
    const later = (ms: number) =>
      store.objects === null ? null : createObjectSweep({ redis, objects: store.objects, now: () => Date.now() + ms })
    // Ours, the other's, and the mark that says whose the place is.
    expect(await later(3_500_000)?.look()).toEqual({ seen: 6, removed: 0 })
    expect(await later(3_700_000)?.look()).toEqual({ seen: 6, removed: 2 })
    const stay = [names[0] ?? '', names[2] ?? '', foreign, `vq/${markObject}`]
    expect([...server.objects.keys()].toSorted()).toEqual(stay.toSorted())
    expect(Buffer.from((await blobs.read(held.address)) ?? [])).toEqual(held.bytes)
  })

  test('are listed page by page to the last', async () => {
    server.objects.clear()
    for (let index = 0; index < 250; index += 1) {
      server.objects.set(`vq/${index}`, { bytes: Buffer.from('1'), storedAt: 5 })
    }
    server.objects.set('elsewhere', { bytes: Buffer.from('1'), storedAt: 5 })
    const pages: number[] = []
    for await (const page of store.objects?.list() ?? []) pages.push(page.length)
    expect(pages).toEqual([100, 100, 50])
    server.objects.clear()
  })
})

describe('an address that was signed', () => {
  test('gives one object, to whoever has it', async () => {
    const [one, other] = [made(), made()]
    await Promise.all([keep(one), keep(other)])
    const value = await redis.getBuffer(blobBytesKey(one.address))
    const url = String(await store.values.toHandOver(one.address, value ?? Buffer.alloc(0)))
    expect(Buffer.from(await (await fetch(url)).arrayBuffer())).toEqual(one.bytes)
    expect((await fetch(url.replace(one.address.hash, other.address.hash))).status).toBe(403)
    expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403)
    expect((await fetch(url.replace(/X-Amz-Expires=\d+/, 'X-Amz-Expires=99999'))).status).toBe(403)
  })

  test('takes these bytes once, and no others', async () => {
    const { bytes, address } = made()
    const name = `-/${address.hash}/AAAAAAAAAAAAAAAA`
    const signed = await store.objects?.addressToPut(name, { hash: address.hash, bytes: bytes.length }, long)
    const { url = '', headers = {} } = signed ?? {}
    const put = async (body: Buffer, changes: Record<string, string> = {}): Promise<number> => {
      const { 'content-length': _, ...sent } = { ...headers, ...changes }
      return (await fetch(url, { method: 'PUT', body: Uint8Array.from(body), headers: sent })).status
    }
    const others = randomBytes(bytes.length)
    expect(await put(others)).toBe(400)
    const sum = createHash('sha256').update(others).digest('base64')
    expect(await put(others, { 'x-amz-checksum-sha256': sum })).toBe(403)
    expect(await put(Buffer.concat([bytes, bytes]))).toBe(403)
    expect(server.objects.has(`vq/${name}`)).toBe(false)
    expect(await put(bytes)).toBe(200)
    expect(await put(bytes)).toBe(412)
    expect(await store.objects?.describe(name)).toEqual({ bytes: bytes.length, hash: address.hash })
    expect(await store.objects?.readStart(name, 10)).toEqual(Uint8Array.from(bytes.subarray(0, 10)))
    expect(await store.objects?.describe(`${name}B`)).toBeNull()
  })
})

describe('a store that can not be used', () => {
  test.each([
    [() => (server.trouble = 500), /answered 500/],
    [() => (server.trouble = 403), /may not do this with the bucket test-images/],
  ])('says why, and a caller is told to try again (%#)', async (breakIt, sentence) => {
    const one = made()
    await blobs.hold(one.address, 'a', long)
    breakIt()
    const error: unknown = await blobs.put(one.address, one.bytes, long).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'queue_unavailable', retryAfterMs: 1000 })
    expect(error instanceof VisionQueueError && error.cause).toMatchObject({ message: expect.stringMatching(sentence) })
    expect(error instanceof VisionQueueError && error.detail).not.toMatch(/test-images|127\.0\.0\.1/)
  })

  test.each([
    ['s3://no-such-bucket', {}, /there is no bucket no-such-bucket at http/],
    [
      's3://test-images',
      { AWS_SECRET_ACCESS_KEY: 'wrong' },
      /may not do this with the bucket|does not know these credentials/,
    ],
  ])('is found out by a look: %s %o', async (bucket, env, sentence) => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
    const { objects, close } = await openBlobStore(
      parseBlobStore(server.blobStore.replace(`s3://${server.bucket}/vq`, bucket)),
    )
    await expect(objects?.check()).rejects.toThrow(sentence)
    close()
    for (const [name, value] of Object.entries(server.env)) vi.stubEnv(name, value)
  })

  test('that nobody listens at is told by its address', async () => {
    const { objects, close } = await openBlobStore(parseBlobStore('s3://images?endpoint=http://127.0.0.1:1'))
    await expect(objects?.check()).rejects.toThrow(/http:\/\/127\.0\.0\.1:1 does not answer \(ECONNREFUSED\)/)
    close()
  })

  test('and does not answer holds nobody up for longer than it says', async () => {
    server.trouble = 'silence'
    const started = performance.now()
    await expect(store.objects?.check()).rejects.toThrow(/does not answer/)
    expect(performance.now() - started).toBeLessThan(2 * (store.objects?.patienceMs ?? 0))
  }, 20_000)
})
