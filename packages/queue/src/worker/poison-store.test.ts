import { expect, test } from 'vitest'

import { createPoisonStore } from './poison-store.ts'
import { newJob, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()

test('an image is remembered for its model and a time, by its hash', async () => {
  const store = createPoisonStore({ redis: queue.redis, ttlMs: 60_000 })
  const [bad, good] = [newJob(), newJob(Buffer.from('another'))]
  await store.add(bad)
  expect(await store.has(bad)).toBe(true)
  expect(await store.has(good)).toBe(false)
  expect(await store.has({ ...bad, model: 'other' })).toBe(false)
  const [key = ''] = await queue.redis.keys('vq:*:poison:*')
  expect(await queue.redis.pttl(key)).toBeGreaterThan(0)
})

test('a time of 0 remembers nothing', async () => {
  const store = createPoisonStore({ redis: queue.redis, ttlMs: 0 })
  await store.add(newJob())
  expect(await queue.redis.keys('vq:*:poison:*')).toEqual([])
})
