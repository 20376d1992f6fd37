import { createHash } from 'node:crypto'

import { apiKeysKey } from '../keys.ts'
import type { KeyLimits } from '../api-key.ts'
import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'

import { describeApiKeys } from '../conformance/api-keys.ts'
import { type ApiKeys, openApiKeys } from './api-keys.ts'
import { quiet } from '../test-support/test-queue.ts'

const noLimits: KeyLimits = { requestsPerMinute: null, maxJobs: null, maxBytes: null }
let server: TestRedis
let redis: Redis

beforeAll(async () => {
  server = await startTestRedis()
})
afterAll(async () => {
  await server.stop()
})
beforeEach(async () => {
  redis = new Redis(server.url)
  await redis.flushall()
})
afterEach(() => {
  redis.disconnect()
})

/** The keys as one API process sees them. */
async function open(cacheMs = 0): Promise<ApiKeys> {
  const keys = openApiKeys({ redisUrl: server.url, commandTimeoutMs: 500, cacheMs, log: quiet })
  onTestFinished(() => keys.close())
  await keys.hasUsable(5000)
  return keys
}

async function create(keys: ApiKeys, changes: Partial<KeyLimits & { expiresAt: number }> = {}) {
  const { expiresAt = null, ...limits } = changes
  return keys.create({ name: 'shop', scopes: ['read'], limits: { ...noLimits, ...limits }, expiresAt })
}

describeApiKeys('API keys in Redis', async () => open())

describe('a key', () => {
  test('opens for every process, and Redis knows its hash alone', async () => {
    const { key, stored } = await create(await open())
    expect(await (await open()).verify(key)).toEqual(stored)
    const kept = (await redis.hgetall(apiKeysKey))[stored.id] ?? ''
    expect(JSON.parse(kept)).toMatchObject({ digest: createHash('sha256').update(key).digest('base64url') })
    expect(kept).not.toContain(key.split('_')[2])
  })

  test('has a secret of its own of at least 128 bits', async () => {
    const keys = await open()
    const made = await Promise.all(Array.from({ length: 50 }, async () => create(keys)))
    const secrets = made.map(({ key }) => /^vq_[0-9A-Za-z]{12}_([0-9A-Za-z]{32})$/.exec(key)?.[1] ?? '')
    expect(new Set(secrets).size).toBe(50)
    expect(32 * Math.log2(62)).toBeGreaterThan(128)
    // All of the alphabet is in use.
    expect(new Set(secrets.join('')).size).toBe(62)
  })

  test('with another secret, id or form opens nothing', async () => {
    const keys = await open()
    const [{ key, stored }, other] = [await create(keys), await create(keys)]
    const secret = key.slice(`vq_${stored.id}_`.length)
    const last = secret.endsWith('a') ? 'b' : 'a'
    const wrong = [
      `vq_${stored.id}_${secret.slice(0, -1)}${last}`,
      `vq_${other.stored.id}_${secret}`,
      `vq_${'0'.repeat(12)}_${secret}`,
      `${key}a`,
      key.slice(0, -1),
      `${key}\n`,
      secret,
      '',
      `vq__${secret}`,
    ]
    expect(await Promise.all(wrong.map(async (text) => keys.verify(text)))).toEqual(wrong.map(() => null))
  })

  test('opens nothing once it has expired, remembered or not', async () => {
    const keys = await open(60_000)
    const { key } = await create(keys, { expiresAt: Date.now() + 60_000 })
    expect(await keys.verify(key)).not.toBeNull()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_001 })
    onTestFinished(() => void vi.useRealTimers())
    expect(await keys.verify(key)).toBeNull()
  })

  test('that is revoked opens nothing at once here, and elsewhere when what is remembered there is old', async () => {
    const [here, elsewhere] = [await open(60_000), await open(300)]
    const { key, stored } = await create(here)
    expect([await here.verify(key), await elsewhere.verify(key)]).toEqual([stored, stored])
    expect(await here.revoke(stored.id)).toBe(true)
    expect(await here.verify(key)).toBeNull()
    await expect.poll(async () => elsewhere.verify(key)).toBeNull()
    expect(await here.revoke(stored.id)).toBe(false)
    expect(await here.list()).toMatchObject([{ id: stored.id, revokedAt: expect.any(Number) }])
    expect(await here.hasUsable(1000)).toBe(false)
  })

  test('is looked up once in a while, however often it is used', async () => {
    const keys = await open(60_000)
    const { key } = await create(keys)
    const looks = async (): Promise<number> =>
      Number(/cmdstat_hget:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0)
    const before = await looks()
    await Promise.all(Array.from({ length: 20 }, async () => keys.verify(key)))
    await keys.verify(key)
    expect(await looks()).toBe(before + 1)
  })

  test('that can not be looked up is not let in: queue_unavailable', async () => {
    const away = openApiKeys({ redisUrl: 'redis://127.0.0.1:1', commandTimeoutMs: 200, cacheMs: 0, log: quiet })
    onTestFinished(() => away.close())
    const { key } = await create(await open())
    await expect(away.verify(key)).rejects.toMatchObject({ code: 'queue_unavailable' })
    await expect(away.hasUsable(100)).rejects.toMatchObject({ code: 'queue_unavailable' })
    await expect(away.countRequest({ id: 'a', limits: { ...noLimits, requestsPerMinute: 1 } })).rejects.toMatchObject({
      code: 'queue_unavailable',
    })
  })
})

describe('a rate', () => {
  test('is exact over all processes', async () => {
    const processes = await Promise.all([open(), open()])
    const key = { id: 'abcdefABC123', limits: { ...noLimits, requestsPerMinute: 10 } }
    const rates = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => processes[index % 2]?.countRequest(key)),
    )
    expect(rates.filter((rate) => rate?.exceeded === false)).toHaveLength(10)
    const last = rates.at(-1)
    expect(last).toMatchObject({ limit: 10, remaining: 0, exceeded: true })
    expect(last?.resetMs).toBeGreaterThan(0)
    expect(last?.resetMs).toBeLessThanOrEqual(60_000)
  })

  test('leaves nothing behind when its minute is over, and a key without one none at all', async () => {
    const keys = await open()
    await keys.countRequest({ id: 'abcdefABC123', limits: { ...noLimits, requestsPerMinute: 10 } })
    expect(await keys.countRequest({ id: 'abcdefABC124', limits: noLimits })).toBeNull()
    const left = await redis.keys('vq:rate:*')
    expect(left).toEqual(['vq:rate:abcdefABC123'])
    expect(await redis.pttl('vq:rate:abcdefABC123')).toBeGreaterThan(0)
  })
})
