import { VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, it, vi } from 'vitest'

import { createDeferred } from '@vision-queue/process'
import { createDynamicBatcher } from './dynamic-batcher.ts'
import type { BatchItem, BatchOutcome, BatchRun } from './run-or-split.ts'

interface Item extends BatchItem {
  name: string
  canceled: boolean
}

function item(name: string, deadlineAt: number | null = null): Item {
  return { name, deadlineAt, canceled: false }
}

function items(count: number): Item[] {
  return Array.from({ length: count }, (_, index) => item(String(index)))
}

type Run = (batch: readonly Item[]) => Promise<(string | Error)[]>

const echo: Run = async (batch) => batch.map(({ name }) => `${name}!`)

function setUp(run: Run, limits: { maxBatchSize?: number; maxExtraRuns?: number } = {}) {
  const launches: string[][] = []
  const outcomes = new Map<string, BatchOutcome<Item, string>>()
  const runs: BatchRun[] = []
  const batcher = createDynamicBatcher<Item, string>({
    maxBatchSize: 4,
    ...limits,
    run,
    onLaunch: async (batch) => {
      launches.push(batch.map(({ name }) => name))
    },
    onSettled(settled, itsRuns) {
      for (const outcome of settled) {
        if (outcomes.has(outcome.item.name)) throw new Error(`${outcome.item.name} was settled twice`)
        outcomes.set(outcome.item.name, outcome)
      }
      runs.push(...itsRuns)
    },
  })
  const add = (...added: Item[]): void => {
    for (const one of added) batcher.add(one)
  }
  const settled = async (count: number): Promise<void> => vi.waitFor(() => expect(outcomes.size).toBe(count))
  const errorOf = (name: string): VisionQueueError | undefined => {
    const outcome = outcomes.get(name)
    return outcome?.kind === 'error' ? outcome.error : undefined
  }
  return { batcher, add, settled, launches, outcomes, runs, errorOf }
}

describe('gathering', () => {
  it('runs what came in one turn together, in order, at most maxBatchSize at a time', async () => {
    const { add, settled, launches, outcomes } = setUp(echo)
    add(...items(10))
    await settled(10)
    expect(launches).toEqual([
      ['0', '1', '2', '3'],
      ['4', '5', '6', '7'],
      ['8', '9'],
    ])
    expect(outcomes.get('9')).toMatchObject({ kind: 'value', value: '9!', batchSize: 2 })
  })

  it('makes the next batch of everything that came while one ran, and never runs two at a time', async () => {
    const gate = createDeferred<undefined>()
    let running = 0
    const { add, settled, launches } = setUp(async (batch) => {
      running += 1
      expect(running).toBe(1)
      await gate.promise
      running -= 1
      return echo(batch)
    })
    add(item('first'))
    await vi.waitFor(() => expect(launches).toHaveLength(1))
    add(item('a'))
    await Promise.resolve()
    add(item('b'), item('c'))
    gate.resolve(undefined)
    await settled(4)
    expect(launches).toEqual([['first'], ['a', 'b', 'c']])
  })

  it('waits for onLaunch before it runs', async () => {
    const told = createDeferred<undefined>()
    const run = vi.fn<Run>(echo)
    const onSettled = vi.fn<() => void>()
    const batcher = createDynamicBatcher<Item, string>({
      maxBatchSize: 4,
      run,
      onLaunch: async () => told.promise,
      onSettled,
    })
    batcher.add(item('a'))
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
    expect(run).not.toHaveBeenCalled()
    told.resolve(undefined)
    await vi.waitFor(() => expect(onSettled).toHaveBeenCalledOnce())
  })
})

describe('dropping', () => {
  it('drops late and canceled items just before launch, and gives their places to others', async () => {
    const { add, settled, launches, outcomes, errorOf } = setUp(echo)
    const canceled = item('canceled')
    add(item('late', Date.now() - 1), canceled, item('in time', Date.now() + 60_000), ...items(3))
    canceled.canceled = true
    await settled(6)
    expect(launches).toEqual([['in time', '0', '1', '2']])
    expect(errorOf('late')?.code).toBe('deadline_exceeded')
    expect(outcomes.get('canceled')?.kind).toBe('canceled')
  })

  it('never drops an item that was launched', async () => {
    const gate = createDeferred<undefined>()
    const { add, settled, launches, outcomes } = setUp(async (batch) => {
      await gate.promise
      return echo(batch)
    })
    const one = { ...item('one'), deadlineAt: Date.now() + 30 }
    add(one)
    await vi.waitFor(() => expect(launches).toHaveLength(1))
    one.canceled = true
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(one.deadlineAt))
    gate.resolve(undefined)
    await settled(1)
    expect(outcomes.get('one')?.kind).toBe('value')
  })
})

describe('failing', () => {
  it('an Error in a slot fails that item only', async () => {
    const { add, settled, errorOf, outcomes } = setUp(async (batch) =>
      batch.map(({ name }) => (name === '1' ? new VisionQueueError('invalid_input', 'bad') : name)),
    )
    add(...items(3))
    await settled(3)
    expect(errorOf('1')?.code).toBe('invalid_input')
    expect(outcomes.get('2')).toMatchObject({ kind: 'value', batchSize: 3 })
  })

  it('a batch that throws is halved until the culprit fails alone and the others have their answers', async () => {
    const { add, settled, errorOf, outcomes, runs } = setUp(
      async (batch) => {
        if (batch.some(({ name }) => name === '5')) throw new Error('out of range')
        return echo(batch)
      },
      { maxBatchSize: 8 },
    )
    add(...items(8))
    await settled(8)
    expect(errorOf('5')).toMatchObject({ code: 'inference_failed', cause: new Error('out of range') })
    expect([...outcomes.values()].filter(({ kind }) => kind === 'value')).toHaveLength(7)
    expect(runs.map(({ size }) => size)).toEqual([8, 4, 4, 2, 1, 1, 2])
  })

  it('a model that fails on everything costs the extra runs allowed and one for each item', async () => {
    const run = vi.fn<Run>(async () => {
      throw new Error('broken')
    })
    const { add, settled, errorOf } = setUp(run, { maxBatchSize: 32, maxExtraRuns: 6 })
    add(...items(32))
    await settled(32)
    expect(run.mock.calls.length).toBeLessThanOrEqual(7 + 32)
    expect(errorOf('31')?.code).toBe('inference_failed')
  })

  it.each([3, 5, 12, 31])('of 32 items %i at fault fail, and none of the others', async (faulty) => {
    const isAtFault = ({ name }: Item): boolean => (Number(name) * 7) % 32 < faulty
    const run: Run = async (batch) => {
      if (batch.some(isAtFault)) throw new Error('out of range')
      return echo(batch)
    }
    const { add, settled, outcomes } = setUp(run, { maxBatchSize: 32 })
    add(...items(32))
    await settled(32)
    for (const outcome of outcomes.values()) expect(outcome.kind).toBe(isAtFault(outcome.item) ? 'error' : 'value')
  })

  it('a wrong number of slots fails the batch instead of giving answers to the wrong items', async () => {
    const { add, settled, errorOf } = setUp(async () => ['only one'])
    add(...items(3))
    await settled(3)
    for (const name of ['0', '1', '2']) expect(errorOf(name)?.code).toBe('inference_failed')
  })

  it('goes on with the next batch after a failed one', async () => {
    const { add, settled, outcomes } = setUp(async (batch) => {
      if (batch[0]?.name === 'bad') throw new Error('broken')
      return echo(batch)
    })
    add(item('bad'))
    await settled(1)
    add(item('good'))
    await settled(2)
    expect(outcomes.get('good')?.kind).toBe('value')
  })
})
