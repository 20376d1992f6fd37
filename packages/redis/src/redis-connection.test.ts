import { Redis } from 'ioredis'
import { expect, test } from 'vitest'

import { startTestRedis } from '@vision-queue/test-support/redis'
import { assertNoEviction } from './redis-connection.ts'

test('a Redis that would evict accepted jobs is refused, saying what to set', async () => {
  const server = await startTestRedis()
  const redis = new Redis(server.url)
  try {
    await expect(assertNoEviction(redis)).resolves.toBeUndefined()
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await expect(assertNoEviction(redis)).rejects.toThrow(/allkeys-lru.*noeviction/s)
  } finally {
    redis.disconnect()
    await server.stop()
  }
})
