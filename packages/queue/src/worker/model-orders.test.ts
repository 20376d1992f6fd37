import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'

import { giveModelOrder, readModelOrders } from './model-orders.ts'

let server: TestRedis
let redis: Redis

beforeAll(async () => {
  server = await startTestRedis()
  redis = new Redis(server.url)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})
beforeEach(async () => {
  await redis.flushall()
})

async function order(action: 'load' | 'unload' | 'reload', version: string | null): Promise<void> {
  // Two orders of one millisecond have no order.
  await vi.waitUntil(() => Date.now() > last)
  last = Date.now()
  await giveModelOrder(redis, { name: 'm', version, action })
}
let last = 0

async function wanted(...versions: string[]): Promise<string[]> {
  const orders = await readModelOrders(redis)
  return versions.map((version) => orders.of('m', version).wanted)
}

test('of the orders for a model and for a version the later holds', async () => {
  expect(await wanted('1', '2')).toEqual(['configured', 'configured'])
  await order('load', '1')
  expect(await wanted('1', '2')).toEqual(['loaded', 'configured'])
  await order('unload', null)
  expect(await wanted('1', '2')).toEqual(['unloaded', 'unloaded'])
  await order('load', '2')
  expect(await wanted('1', '2')).toEqual(['unloaded', 'loaded'])
  await order('load', null)
  expect(await wanted('1', '2')).toEqual(['configured', 'configured'])
})

test('the later of two orders holds, though the first came from a machine whose clock is ahead', async () => {
  const honestNow = Date.now
  Date.now = () => honestNow() + 3_600_000
  try {
    await giveModelOrder(redis, { name: 'm', version: '1', action: 'load' })
  } finally {
    Date.now = honestNow
  }
  await new Promise((resolve) => void setTimeout(resolve, 5))
  await giveModelOrder(redis, { name: 'm', version: null, action: 'unload' })
  expect(await wanted('1')).toEqual(['unloaded'])
})

test('a reload leaves what is wanted as it is, and each is a new one', async () => {
  await order('unload', '1')
  await order('reload', '1')
  const first = (await readModelOrders(redis)).of('m', '1')
  expect(first.wanted).toBe('unloaded')
  await order('reload', null)
  const orders = await readModelOrders(redis)
  expect(orders.of('m', '1').reloadAt).toBeGreaterThan(first.reloadAt)
  expect(orders.of('m', '2').reloadAt).toBe(orders.of('m', '1').reloadAt)
  expect(orders.of('other', '1').reloadAt).toBe(0)
})

test('an unreadable order counts as none', async () => {
  await redis.hset('vq:model-orders', 'm', '{"wanted":"gone"}', 'm@1', '{')
  expect(await wanted('1')).toEqual(['configured'])
})
