import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { openFailFastConnection, type RedisClient } from '@vision-queue/redis'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

import { blobsConformance, type BlobStores } from './conformance.ts'
import { createMemoryBlobs, createMemoryBudget } from './memory-blobs.ts'
import { createRedisBlobs } from './redis-blobs.ts'
import { createRedisBudget } from './redis-budget.ts'

const quiet = { info() {}, warn() {}, error() {} }
let server: TestRedis
let connections: RedisClient[] = []
let redisStores: BlobStores

beforeAll(async () => {
  server = await startTestRedis()
  const connect = async (): Promise<RedisClient> => {
    const redis = openFailFastConnection({ redisUrl: server.url, commandTimeoutMs: 5000, log: quiet, name: 'test' })
    await vi.waitFor(async () => redis.ping(), { timeout: 10_000 })
    connections.push(redis)
    return redis
  }
  const [one, two] = [await connect(), await connect()]
  const keys = { lapses: 'vq:{test}:lapses', bytes: 'vq:{test}:bytes' }
  redisStores = {
    blobs: [createRedisBlobs(one), createRedisBlobs(two)],
    budgets: [createRedisBudget(one, keys), createRedisBudget(two, keys)],
  }
})
afterAll(async () => {
  for (const redis of connections) redis.disconnect()
  connections = []
  await server.stop()
})

const [blobs, budget] = [createMemoryBlobs(), createMemoryBudget()]
blobsConformance('memory', () => ({ blobs: [blobs, blobs], budgets: [budget, budget] }))
blobsConformance('Redis', () => redisStores)

test('everything that is stored in Redis expires by itself', async () => {
  const [redis] = connections
  const left = (await redis?.keys('*')) ?? []
  expect(left.length).toBeGreaterThan(0)
  const lasting = await Promise.all(left.map(async (key) => (await redis?.pttl(key)) === -1))
  expect(left.filter((_, index) => lasting[index])).toEqual([])
})
