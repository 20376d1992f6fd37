import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { createDynamicBatcher, type DynamicBatcherOptions } from './dynamic-batcher.ts'
import type { Launch } from './launch.ts'
import type { BatchItem } from './run-or-split.ts'

interface Item extends BatchItem {
  name: string
  shape: string
}

/** A launch costs 4 ms and 1 ms for each item. */
const warmUp = [
  { size: 1, runMs: 5 },
  { size: 16, runMs: 20 },
]

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function setUp(options: Partial<DynamicBatcherOptions<Item, string>> = {}) {
  const batches: string[] = []
  const launches: Launch[] = []
  const batcher = createDynamicBatcher<Item, string>({
    maxBatchSize: 16,
    seed: warmUp,
    async run(items) {
      await new Promise((resolve) => {
        setTimeout(resolve, 4 + items.length)
      })
      return items.map(({ name }) => name)
    },
    async onLaunch(items) {
      batches.push(items.map(({ name }) => name).join(''))
    },
    onSettled(_, __, launch) {
      if (launch !== null) launches.push(launch)
    },
    ...options,
  })
  const add = (names: string, { shape = '', deadlineAt = null as number | null } = {}): void => {
    for (const name of names) batcher.add({ name, shape, deadlineAt, canceled: false })
  }
  const pass = async (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms)
  return { batcher, add, pass, batches, launches }
}

describe('waiting for others', () => {
  it('launches at once where nothing else is being prepared', async () => {
    const { add, pass, batches, launches } = setUp({ preparing: () => 0 })
    add('a')
    await pass(0)
    expect(batches).toEqual(['a'])
    await pass(10)
    expect(launches).toMatchObject([{ reason: 'idle', size: 1, actualMs: 5 }])
    expect(launches[0]?.predictedMs).toBeCloseTo(5, 1)
  })

  it('waits for those that are being prepared, until there are none', async () => {
    let preparing = 2
    const { add, pass, batches, launches } = setUp({ preparing: () => preparing })
    add('a')
    await pass(1)
    preparing = 1
    add('b')
    await pass(1)
    expect(batches).toEqual([])
    preparing = 0
    add('c')
    await pass(0)
    expect(batches).toEqual(['abc'])
    await pass(10)
    expect(launches).toMatchObject([{ reason: 'idle', size: 3 }])
  })

  it('waits for each next one as long as that one would have to wait for a launch, shared by those that wait', async () => {
    const { add, pass, batches, launches } = setUp({ preparing: () => 1 })
    add('a')
    await pass(4)
    add('b')
    await pass(2)
    expect(batches).toEqual([])
    // Three milliseconds each are what a launch of the two takes.
    await pass(1)
    expect(batches).toEqual(['ab'])
    add('c')
    // Its time is over when the batch before it is done: it does not begin to wait only then.
    await pass(7)
    expect(batches).toEqual(['ab', 'c'])
    await pass(10)
    expect(launches).toMatchObject([
      { reason: 'delay', size: 2 },
      { reason: 'delay', size: 1 },
    ])
  })

  it('lets nobody wait longer than a full batch takes', async () => {
    const { add, pass, batches } = setUp({ preparing: () => 1, maxBatchSize: 4 })
    add('a')
    await pass(4)
    add('b')
    await pass(2)
    add('c')
    await pass(1)
    expect(batches).toEqual([])
    await pass(1)
    expect(batches).toEqual(['abc'])
  })

  it('waits a twentieth of the latency objective at most', async () => {
    const { add, pass, batches } = setUp({ preparing: () => 1, objectiveMs: 40 })
    add('a')
    await pass(1)
    expect(batches).toEqual([])
    await pass(1)
    expect(batches).toEqual(['a'])
  })

  it('waits for nobody once the batch is full, nor while it is drained', async () => {
    const { batcher, add, pass, batches, launches } = setUp({ preparing: () => 1, maxBatchSize: 2 })
    add('ab')
    await pass(10)
    add('c')
    await pass(1)
    expect(batches).toEqual(['ab'])
    batcher.drain()
    await pass(0)
    expect(batches).toEqual(['ab', 'c'])
    await pass(10)
    expect(launches).toMatchObject([{ reason: 'full' }, { reason: 'drain' }])
  })

  it('says what has ended before it waits', async () => {
    const ended: string[] = []
    const { add, pass } = setUp({
      preparing: () => 1,
      maxBatchSize: 2,
      onSettled(outcomes) {
        ended.push(...outcomes.map(({ item }) => item.name))
      },
    })
    add('ab')
    setTimeout(() => add('c'), 5)
    await pass(7)
    expect(ended).toEqual(['a', 'b'])
  })
})

describe('sizes', () => {
  it('no batch is larger than the objective allows', async () => {
    // Two batches of 6: 2 x (4 + 6).
    const { add, pass, batches } = setUp({ objectiveMs: 20 })
    add('abcdefghijklmno')
    await pass(100)
    expect(batches).toEqual(['abcdef', 'ghijkl', 'mno'])
  })

  it('follows a limit that is set from outside, such as for want of memory', async () => {
    let limit = 3
    const { add, pass, batches } = setUp({ sizeLimit: () => limit })
    add('abcd')
    await pass(0)
    limit = 16
    await pass(100)
    add('efghi')
    await pass(100)
    expect(batches).toEqual(['abc', 'd', 'efghi'])
  })

  it('shrinks where runs take far longer than the cost said, though the objective seemed met', async () => {
    let slow = false
    const { batcher, add, pass } = setUp({
      objectiveMs: 100,
      async run(items) {
        await new Promise((resolve) => {
          setTimeout(resolve, slow ? 50 * items.length : 4 + items.length)
        })
        return items.map(({ name }) => name)
      },
    })
    for (let round = 0; round < 10; round += 1) {
      add('abcdefghijklmnop')
      await pass(100)
    }
    expect(batcher.cost?.batchSize).toBe(16)
    slow = true
    add('abcdefghijklmnopabcdefghijklmnop')
    await pass(5000)
    expect(batcher.cost?.batchSize).toBeLessThan(12)
  })

  it('launches another size now and then where all were of one size, and only of jobs that wait', async () => {
    const { add, pass, batches } = setUp({ seed: [], maxBatchSize: 4 })
    for (let round = 0; round < 60; round += 1) {
      add('abcd')
      await pass(100)
    }
    expect(batches).toContain('ab')
    expect(batches.filter((batch) => batch !== 'abcd').length).toBeLessThan(12)
    batches.length = 0
    for (let round = 0; round < 60; round += 1) {
      add('a')
      await pass(100)
    }
    expect(batches.every((batch) => batch === 'a')).toBe(true)
  })
})

describe('shapes', () => {
  it('do not share a batch, and interleaved ones still make large batches', async () => {
    const { add, pass, batches } = setUp({ shapeOf: ({ shape }) => shape })
    for (const name of 'abcd') {
      add(name, { shape: 'small' })
      add(name.toUpperCase(), { shape: 'large' })
    }
    await pass(100)
    expect(batches).toEqual(['abcd', 'ABCD'])
  })

  it('the one whose oldest job has the least time left goes first, and nobody starves', async () => {
    const { add, pass, batches } = setUp({ shapeOf: ({ shape }) => shape, maxBatchSize: 1 })
    add('a', { shape: 'small' })
    add('B', { shape: 'large', deadlineAt: Date.now() + 50 })
    await pass(50)
    expect(batches).toEqual(['B', 'a'])
    add('c', { shape: 'small' })
    await pass(1)
    add('d', { shape: 'small' })
    for (let round = 0; round < 300; round += 1) {
      add('E', { shape: 'large', deadlineAt: Date.now() + 100 })
      await pass(5)
    }
    expect(batches).toContain('d')
  })
})
