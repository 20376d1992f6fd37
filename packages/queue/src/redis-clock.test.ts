import { afterEach, expect, test, vi } from 'vitest'

import { openRedisClock } from './redis-clock.ts'
import { useTestQueue } from './test-support/test-queue.ts'

const queue = useTestQueue()
const honestNow = Date.now

afterEach(() => {
  Date.now = honestNow
})

test('a clock that is an hour off is corrected by Redis’, there and back', async () => {
  const hourMs = 3_600_000
  Date.now = () => honestNow() + hourMs
  const clock = openRedisClock(queue.redis)
  queue.atEnd(() => clock.close())
  await vi.waitFor(() => expect(clock.toRedis(0)).not.toBe(0))
  const inRedis = clock.toRedis(Date.now())
  expect(Math.abs(inRedis - honestNow())).toBeLessThan(hourMs / 10)
  expect(clock.toLocal(clock.toRedis(12_345))).toBe(12_345)
})

test('clocks that agree but for the way there are left alone', async () => {
  const clock = openRedisClock(queue.redis)
  queue.atEnd(() => clock.close())
  await queue.redis.ping()
  expect(clock.toRedis(12_345)).toBe(12_345)
})
