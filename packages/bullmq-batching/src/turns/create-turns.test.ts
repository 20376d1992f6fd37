import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { Redis, ReplyError } from 'ioredis'
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
  await redis.config('SET', 'maxmemory', '0')
  await redis.config('RESETSTAT')
})

/** How often Redis ran the command since the test began, from outside or inside of scripts. */
async function calls(command: string): Promise<number> {
  const stats = await redis.info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

describe('a chain', () => {
  test('resolves to the replies of the steps in their order', async () => {
    const replies = await turns.run([step('add', 'a', 5), step('add', 'a', 2), step('list', ['k1', 'k2'], 'x', 7)])
    expect(replies).toEqual([5, 7, ['k1', 'k2', 'x', '7', 2, 2]])
  })

  test('ends where a step says so: the steps behind it are not run, and have no reply', async () => {
    await redis.set('full', 3)
    const replies = await turns.run([step('add', 'a', 1), step('limit', 'full', 3), step('add', 'a', 1)])
    expect(replies).toEqual([1, 'refused'])
    expect(await redis.get('a')).toBe('1')
  })

  test('has a carry of its own, which its steps share', async () => {
    const [one, two, none] = await Promise.all([
      turns.run([step('remember', 'k', 'a'), step('remember', 'k', 'b'), step('recall', 'k1')]),
      turns.run([step('remember', 'k', 'c'), step('recall', 'k2')]),
      turns.run([step('recall', 'k3')]),
    ])
    expect([one, two, none]).toEqual([[null, null, 'ba'], [null, 'c'], ['nothing']])
  })

  test('without steps is done', async () => {
    expect(await turns.run([])).toEqual([])
  })

  test('takes bytes as they are', async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 128])
    await turns.run([step('remember', 'k', bytes), step('recall', 'bytes')])
    // The carry stays in Redis within a call.
    expect(await redis.getBuffer('bytes')).toEqual(bytes)
  })

  test('that names a step without Lua, or a step without keys, is rejected alone', async () => {
    const [unknown, keyless, fine] = await Promise.allSettled([
      turns.run([step('nonsense', 'k')]),
      turns.run([step('add', [], 1)]),
      turns.run([step('add', 'a', 1)]),
    ])
    expect(unknown).toMatchObject({ reason: { message: expect.stringMatching(/no step 'nonsense'.*these: add, /) } })
    expect(keyless).toMatchObject({ reason: { message: expect.stringContaining("'add' names no key") } })
    expect(fine).toMatchObject({ value: [1] })
  })
})

describe('a turn', () => {
  test('of the event loop is one script call, its chains in the order of asking', async () => {
    await turns.run([step('add', 'warm', 1)])
    const before = await calls('evalsha')
    const all = await Promise.all(Array.from({ length: 150 }, async () => turns.run([step('add', 'a', 1)])))
    expect(all.flat()).toEqual(Array.from({ length: 150 }, (_, index) => index + 1))
    expect((await calls('evalsha')) - before).toBe(1)
  })

  test('of more chains than a call may have becomes several calls', async () => {
    const all = await Promise.all(Array.from({ length: 450 }, async () => turns.run([step('add', 'a', 1)])))
    expect(all.flat()).toEqual(Array.from({ length: 450 }, (_, index) => index + 1))
    expect(await calls('evalsha')).toBe(3)
  })

  test('puts last what asks for it, and makes its steps when it is sent', async () => {
    let made = 0
    const late = turns.run(() => [step('add', 'a', made)], { last: true })
    const first = turns.run([step('add', 'a', 10)])
    made = 100
    expect(await Promise.all([late, first])).toEqual([[110], [10]])
  })

  test('has a table that its chains share', async () => {
    const counts = await Promise.all([turns.run([step('share', 'a')]), turns.run([step('share', 'b')])])
    expect(counts).toEqual([[1], [2]])
    expect(await turns.run([step('share', 'c')])).toEqual([1])
  })

  test('isolates errors: the chain that failed is rejected with what Redis said, the others are done', async () => {
    await redis.set('word', 'no number')
    const [before, wrong, crashed, after] = await Promise.allSettled([
      turns.run([step('add', 'a', 1)]),
      turns.run([step('add', 'a', 1), step('fail', 'word'), step('add', 'a', 1)]),
      turns.run([step('crash', 'a')]),
      turns.run([step('add', 'a', 1, 'more', 'arguments'), step('add', 'a', 1)]),
    ])
    expect(before).toMatchObject({ value: [1] })
    expect(wrong).toMatchObject({ reason: { message: expect.stringContaining('not an integer') } })
    expect(wrong.status === 'rejected' && wrong.reason instanceof ReplyError).toBe(true)
    expect(crashed).toMatchObject({ reason: { message: expect.stringContaining('nothing') } })
    expect(after).toMatchObject({ value: [3, 4] })
  })
})

describe('publish', () => {
  test('sends one JSON array a channel and call, without what a failed chain said', async () => {
    const subscriber = new Redis(server.url)
    const heard: string[] = []
    subscriber.on('message', (channel: string, message: string) => heard.push(`${channel} ${message}`))
    await subscriber.subscribe('one', 'two')
    await redis.set('word', 'no number')
    await Promise.allSettled([
      turns.run([step('tell', 'k', 'one', '{"n":1}'), step('tell', 'k', 'two', '2')]),
      turns.run([step('tell', 'k', 'one', '"lost"'), step('fail', 'word')]),
      turns.run([step('tell', 'k', 'one', '{"n":3}')]),
    ])
    await vi.waitFor(() => expect(heard).toHaveLength(2))
    expect(heard.toSorted()).toEqual(['one [{"n":1},{"n":3}]', 'two [2]'])
    subscriber.disconnect()
  })
})

describe('commands in front', () => {
  test('are written before the script, and their bytes don’t pass through it', async () => {
    const bytes = Buffer.alloc(100_000, 200)
    const [reply] = await turns.run([step('read', 'name')], {
      before: [
        ['SET', 'blob', bytes, 'PX', 60_000, 'NX'],
        ['SET', 'name', 'put before'],
      ],
    })
    expect(reply).toBe('put before')
    expect((await redis.getBuffer('blob'))?.equals(bytes)).toBe(true)
  })

  test('reject their chain alone when they fail', async () => {
    const [wrong, fine] = await Promise.allSettled([
      turns.run([step('add', 'a', 1)], { before: [['NOSUCH', 'thing']] }),
      turns.run([step('add', 'b', 1)], { before: [['SET', 'c', 1]] }),
    ])
    expect(wrong).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining('NOSUCH') } })
    expect(fine).toMatchObject({ value: [1] })
  })
})

describe('a full Redis', () => {
  beforeEach(async () => {
    await redis.set('rubbish', 'x'.repeat(100))
    await redis.config('SET', 'maxmemory', '1')
  })

  test('refuses a chain at its first write, whatever another of the turn did before', async () => {
    const results = await Promise.allSettled([
      turns.run([step('read', 'rubbish')]),
      turns.run([step('forget', 'rubbish')]),
      turns.run([step('add', 'a', 1), step('add', 'b', 1)]),
      turns.run([step('read', 'a'), step('add', 'a', 1)]),
    ])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected'])
    expect(results[2]).toMatchObject({ reason: { message: expect.stringMatching(/^OOM /) } })
    expect(await redis.exists('a', 'b')).toBe(0)
  })

  test('lets through what ends work', async () => {
    const [refused, ...allowed] = await Promise.allSettled([
      turns.run([step('add', 'a', 1)]),
      turns.run([step('add', 'b', 1)], { whenFull: true }),
      turns.run([step('add', 'b', 1)], { whenFull: true }),
    ])
    expect(refused.status).toBe('rejected')
    expect(allowed).toMatchObject([{ value: [1] }, { value: [2] }])
  })
})
