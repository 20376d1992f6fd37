import { parseBlobStore, PlainError } from '@vision-queue/process'
import { openFailFastConnection, type RedisClient } from '@vision-queue/redis'
import { type ObjectServer, startObjectServer } from '@vision-queue/test-support/object-server'
import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'

import type { ObjectStore } from './object-store.ts'
import { createObjectSweep } from './object-sweep.ts'
import { type OpenBlobStore, openBlobStore } from './open-objects.ts'
import { assertOwnObjects, isForeign } from './store-owner.ts'

const warnings: string[] = []
const log = { info() {}, warn: (_: object, message: string) => void warnings.push(message), error() {} }
let servers: TestRedis[]
let server: ObjectServer
let store: OpenBlobStore
let objects: ObjectStore

beforeAll(async () => {
  servers = [await startTestRedis(), await startTestRedis()]
  server = await startObjectServer()
  for (const [name, value] of Object.entries(server.env)) vi.stubEnv(name, value)
  store = await openBlobStore(parseBlobStore(server.blobStore))
  if (store.objects === null) throw new Error('There are no objects.')
  objects = store.objects
})
afterAll(async () => {
  store.close()
  await server.stop()
  await Promise.all(servers.map(async (redis) => redis.stop()))
  vi.unstubAllEnvs()
})
beforeEach(async () => {
  server.objects.clear()
  server.trouble = null
  warnings.length = 0
  for (const { url } of servers) await onRedis(url, async (redis) => redis.flushall())
})

async function onRedis<Result>(redisUrl: string, work: (redis: RedisClient) => Promise<Result>): Promise<Result> {
  const redis = openFailFastConnection({ redisUrl, commandTimeoutMs: 5000, log, name: 'test' })
  try {
    await vi.waitFor(async () => redis.ping(), { timeout: 10_000 })
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}

const service = (index: number) => ({ redisUrl: servers[index]?.url ?? '', commandTimeoutMs: 5000, log })
const start = async (index: number): Promise<void> => assertOwnObjects(service(index), objects)

test('a service that starts again finds the place its own; one with another Redis is refused in a sentence', async () => {
  await start(0)
  await start(0)
  const refusal: unknown = await start(1).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(PlainError)
  expect(String(refusal)).toContain('s3://test-images/vq/ belongs to a vision-queue with another Redis')
  expect(String(refusal)).toContain('remove the object vision-queue-service there')
  expect([await isForeign(service(0), objects), await isForeign(service(1), objects)]).toEqual([false, true])
  // As the sentence says.
  server.objects.delete('vq/vision-queue-service')
  await start(1)
  await expect(start(0)).rejects.toThrow('belongs to')
})

test('of services that start at once in one place one is let in, and all of its processes', async () => {
  const starts = await Promise.allSettled([start(0), start(1), start(0), start(1)])
  const isIn = starts.map(({ status }) => status === 'fulfilled')
  expect(isIn.filter(Boolean)).toHaveLength(2)
  expect(isIn[0]).toBe(isIn[2])
})

test('while the store or Redis is away a start goes on, and what is another’s is not removed later either', async () => {
  await start(0)
  server.trouble = 503
  await start(1)
  await assertOwnObjects({ ...service(1), redisUrl: 'redis://127.0.0.1:1', commandTimeoutMs: 100 }, objects)
  expect(warnings.filter((message) => message.includes('nothing is removed there'))).toHaveLength(2)
  server.trouble = null
  const name = `vq/-/${'a'.repeat(64)}/${'b'.repeat(16)}`
  server.objects.set(name, { bytes: Buffer.from('of the other'), storedAt: 0 })
  await onRedis(servers[1]?.url ?? '', async (redis) => {
    await expect(createObjectSweep({ redis, objects }).look()).rejects.toThrow('belongs to')
  })
  expect(server.objects.has(name)).toBe(true)
  const swept = await onRedis(servers[0]?.url ?? '', async (redis) => createObjectSweep({ redis, objects }).look())
  expect(swept.removed).toBe(1)
  // The mark is no image.
  expect([...server.objects.keys()]).toEqual(['vq/vision-queue-service'])
})
