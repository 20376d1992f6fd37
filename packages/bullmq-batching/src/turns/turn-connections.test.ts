import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'

import { countingSteps, step } from '../test-support/counting-steps.ts'
import { createTurns, type Turns } from './create-turns.ts'

let server: TestRedis
let redis: Redis
let turns: Turns

beforeAll(async () => {
  server = await startTestRedis()
  redis = new Redis(server.url)
  turns = createTurns(redis, countingSteps)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})
beforeEach(async () => {
  await redis.flushall()
})

/** Script calls so far. */
async function scripts(): Promise<number> {
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0)
}

describe('the connection', () => {
  test('sends the script whole where Redis has lost it', async () => {
    await redis.script('FLUSH')
    expect(await turns.run([step('add', 'a', 1)])).toEqual([1])
    await redis.script('FLUSH')
    const [one, two] = await Promise.all([
      turns.run([step('add', 'a', 1)]),
      turns.run([step('add', 'a', 1)], { whenFull: true }),
    ])
    expect([one, two]).toEqual([[2], [3]])
  })

  test('that fails fast rejects the chains of a turn at once when Redis is away', async () => {
    const other = await startTestRedis()
    const fast = new Redis(other.url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: 500,
      autoResendUnfulfilledCommands: false,
    })
    fast.on('error', () => {})
    const fastTurns = createTurns(fast, countingSteps)
    try {
      await vi.waitFor(async () => fastTurns.run([step('add', 'a', 1)]))
      other.freeze()
      const frozen = await Promise.allSettled([fastTurns.run([step('add', 'a', 1)])])
      expect(frozen[0]).toMatchObject({ reason: { message: expect.stringContaining('timed out') } })
      other.kill()
      await vi.waitFor(() => expect(fast.status).not.toBe('ready'))
      await expect(fastTurns.run([step('add', 'a', 1)])).rejects.toThrow(/writeable|closed|refused/i)
    } finally {
      fast.disconnect()
      await other.stop()
    }
  })

  test('that waits sends a turn when Redis is back', async () => {
    const other = await startTestRedis({ appendFsync: 'always' })
    const patient = new Redis(other.url, { maxRetriesPerRequest: null, retryStrategy: () => 50 })
    patient.on('error', () => {})
    const patientTurns = createTurns(patient, countingSteps)
    try {
      expect(await patientTurns.run([step('add', 'a', 1)])).toEqual([1])
      const during: Promise<unknown[]>[] = []
      await other.restart('SIGKILL', async () => {
        during.push(patientTurns.run([step('add', 'a', 1)]))
      })
      expect(await Promise.all(during)).toEqual([[2]])
    } finally {
      patient.disconnect()
      await other.stop()
    }
  })
})

describe('mostCalls', () => {
  test('lets what arrives while calls are under way travel together', async () => {
    const other = new Redis(server.url)
    const one = createTurns(other, countingSteps, { mostCalls: 1, mostWaitMs: 60_000 })
    await one.run([step('add', 'warm', 1)])
    const before = await scripts()
    await redis.client('PAUSE', 60_000, 'WRITE')
    const all: Promise<unknown[]>[] = []
    for (let index = 0; index < 10; index += 1) {
      all.push(one.run([step('add', 'a', 1)]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await redis.client('UNPAUSE')
    expect((await Promise.all(all)).flat()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect((await scripts()) - before).toBe(2)
    other.disconnect()
  })

  test('holds nothing back longer than mostWaitMs', async () => {
    const other = new Redis(server.url)
    const one = createTurns(other, countingSteps, { mostCalls: 1, mostWaitMs: 20 })
    await one.run([step('add', 'warm', 1)])
    await redis.client('PAUSE', 60_000, 'WRITE')
    const sent = vi.spyOn(other, 'sendCommand')
    const first = one.run([step('add', 'a', 1)])
    await vi.waitFor(() => expect(sent).toHaveBeenCalledTimes(1))
    const second = one.run([step('add', 'a', 1)])
    // The first call has no reply yet, and yet the second is sent.
    await vi.waitFor(() => expect(sent).toHaveBeenCalledTimes(2))
    await redis.client('UNPAUSE')
    expect(await Promise.all([first, second])).toEqual([[1], [2]])
    other.disconnect()
  })
})
