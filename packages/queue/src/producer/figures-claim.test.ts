import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

import { claimMs, createFiguresClaim } from './figures-claim.ts'

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

test('of processes that are scraped in turn always the same one tells the figures', async () => {
  const claims = ['a', 'b', 'c'].map((id) => createFiguresClaim(redis, id))
  for (let round = 0; round < 3; round += 1) {
    const told: boolean[] = []
    for (const claim of claims) told.push(await claim.holds())
    expect(told).toEqual([true, false, false])
  }
})

test('the next one tells them once that one has left, or was not scraped for a while', async () => {
  const [first, second] = [createFiguresClaim(redis, 'first'), createFiguresClaim(redis, 'second')]
  await first.holds()
  // One that hasn't got it gives nothing up.
  await second.giveUp()
  expect(await second.holds()).toBe(false)
  await first.giveUp()
  expect(await second.holds()).toBe(true)
  // Lapsed.
  await redis.pexpire('vq:figures-claim', 0)
  expect(await first.holds()).toBe(true)
  expect(await second.holds()).toBe(false)
})

test('a claim outlasts the pause of the scrapes, which a look by hand in between does not shorten', () => {
  expect(claimMs([0])).toBe(70_000)
  expect(claimMs([0, 15_000])).toBe(37_500)
  expect(claimMs([0, 60_000, 60_500, 61_000])).toBe(150_000)
  expect(claimMs([0, 10])).toBe(5000)
  expect(claimMs([0, 86_400_000])).toBe(600_000)
})
