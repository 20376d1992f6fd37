import { describe, expect, it } from 'vitest'

import type { BatchOutcome, BatchRun } from './run-or-split.ts'
import type { Stepper } from '../tasks/stepper.ts'
import { createStepBatcher } from './step-batcher.ts'
import type { TaskOutput } from '../task-output.ts'

/** A job of the fake stepper: ends after `steps`, or does what it is named for. */
interface FakeJob {
  name: string
  steps: number
  rows?: number
  bytes?: number
}
interface Sequence extends FakeJob {
  done: number
}
interface Item {
  prepared: FakeJob
  deadlineAt: number | null
  canceled: boolean
}

interface Run {
  /** Names in each step, such as `a b`. */
  steps: string[]
  started: string[]
  launched: string[]
  /** `name output`, `name code` or `name canceled`, in the order in which they ended. */
  ended: string[]
  texts: string[]
  runs: BatchRun[]
  left: string[]
  outcomes: BatchOutcome<Item, TaskOutput>[]
  add: (job: FakeJob, extras?: Partial<Item>) => Item
  /** Resolves when so many have ended. */
  untilEnded: (count: number) => Promise<void>
  /** Called after each step, before the next. */
  afterStep: (step: number) => void
}

function start({ maxRows = 4, maxBytes = Infinity } = {}): Run {
  const names = (jobs: readonly FakeJob[]): string => jobs.map(({ name }) => name).join(' ')
  const stepper: Stepper<FakeJob, Sequence> = {
    maxRows,
    rowsOf: ({ rows = 1 }) => rows,
    bytesOf: (jobs) => jobs.reduce((sum, { bytes = 1 }) => sum + bytes, 0),
    maxBytes,
    async start(jobs) {
      run.started.push(names(jobs))
      if (jobs.some(({ name }) => name === 'bad start')) throw new Error('a tensor of 12 values')
      return jobs.map((job) => (job.name === 'refused' ? new Error('refused') : { ...job, done: 0 }))
    },
    choose: (sequences) => sequences,
    phaseOf: ({ done }) => (done === 0 ? 'prefill' : 'decode'),
    leave({ name }) {
      run.left.push(name)
    },
    async step(sequences) {
      run.steps.push(names(sequences))
      if (sequences.some(({ name }) => name === 'poison')) throw new Error('a tensor of 12 values')
      return sequences.map((sequence) => {
        if (sequence.name === 'broken') return new Error('broken')
        sequence.done += 1
        const piece = { text: String(sequence.done), index: sequence.done - 1 }
        return { piece, output: sequence.done === sequence.steps ? { done: sequence.done } : null }
      })
    },
  }
  let wake = (): void => {}
  const run: Run = {
    steps: [],
    started: [],
    launched: [],
    ended: [],
    texts: [],
    runs: [],
    left: [],
    outcomes: [],
    add(prepared, extras = {}) {
      const item: Item = { prepared, deadlineAt: null, canceled: false, ...extras }
      batcher.add(item)
      return item
    },
    async untilEnded(count) {
      while (run.ended.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    afterStep() {},
  }
  const batcher = createStepBatcher<FakeJob, Sequence, Item>(stepper, {
    async onLaunch(items) {
      run.launched.push(names(items.map(({ prepared }) => prepared)))
    },
    onText(pieces) {
      run.texts.push(pieces.map(({ item, piece }) => `${item.prepared.name}${piece.text}`).join(' '))
      run.afterStep(run.steps.length)
    },
    onSettled(outcomes, runs) {
      run.outcomes.push(...outcomes)
      run.runs.push(...runs)
      for (const outcome of outcomes) {
        const { name } = outcome.item.prepared
        if (outcome.kind === 'value') run.ended.push(`${name} ${JSON.stringify(outcome.value)}`)
        else run.ended.push(`${name} ${outcome.kind === 'error' ? outcome.error.code : 'canceled'}`)
      }
      wake()
    },
  })
  return run
}

describe('continuous batching', () => {
  it('lets finished sequences leave and waiting ones take their places between steps', async () => {
    const run = start({ maxRows: 2 })
    for (const [name, steps] of [
      ['a', 1],
      ['b', 3],
      ['c', 2],
      ['d', 1],
    ] as const)
      run.add({ name, steps })
    await run.untilEnded(4)
    expect(run.steps).toEqual(['a b', 'b c', 'b c', 'd'])
    expect(run.launched).toEqual(['a b', 'c', 'd'])
    expect(run.ended).toEqual(['a {"done":1}', 'b {"done":3}', 'c {"done":2}', 'd {"done":1}'])
  })

  it('lets one that comes while others run join the next step', async () => {
    const run = start()
    run.add({ name: 'a', steps: 3 })
    run.afterStep = (step) => {
      if (step === 1) run.add({ name: 'b', steps: 1 })
    }
    await run.untilEnded(2)
    expect(run.steps).toEqual(['a', 'a b', 'a'])
    expect(run.texts).toEqual(['a1', 'a2 b1', 'a3'])
  })

  it('counts rows, not jobs, and runs one that needs more than there are by itself', async () => {
    const run = start({ maxRows: 4 })
    run.add({ name: 'a', steps: 1, rows: 3 })
    run.add({ name: 'b', steps: 1, rows: 2 })
    run.add({ name: 'huge', steps: 1, rows: 9 })
    run.add({ name: 'c', steps: 1 })
    await run.untilEnded(4)
    expect(run.steps).toEqual(['a', 'b', 'huge', 'c'])
  })

  it('lets in no more bytes than there are, in order, and refuses one that needs more than all', async () => {
    const run = start({ maxBytes: 10 })
    for (const [name, bytes] of [
      ['a', 6],
      ['huge', 2 * 1024 ** 2],
      ['b', 5],
      ['c', 1],
    ] as const)
      run.add({ name, steps: 2, bytes })
    await run.untilEnded(4)
    expect(run.steps).toEqual(['a', 'a', 'b c', 'b c'])
    expect(run.ended[0]).toBe('huge invalid_input')
    expect(run.outcomes[0]).toMatchObject({ error: { detail: expect.stringContaining('2.0 MiB') } })
  })

  it('says of each answer how long its runs took and how many shared them, and counts every run', async () => {
    const run = start()
    run.add({ name: 'a', steps: 3 })
    run.add({ name: 'b', steps: 3 })
    await run.untilEnded(2)
    expect(run.runs.map(({ size }) => size)).toEqual([2, 2, 2, 2])
    const total = run.runs.reduce((sum, { runMs }) => sum + runMs, 0)
    expect(run.outcomes).toMatchObject([{ batchSize: 2 }, { batchSize: 2 }])
    for (const outcome of run.outcomes) expect(outcome).toMatchObject({ runMs: expect.closeTo(total, 6) })
  })
})

describe('leaving early', () => {
  it('a canceled one is gone before the next step, or is never launched', async () => {
    const run = start({ maxRows: 2 })
    const a = run.add({ name: 'a', steps: 9 })
    run.add({ name: 'b', steps: 3 })
    const c = run.add({ name: 'c', steps: 1 })
    run.afterStep = (step) => {
      if (step === 1) a.canceled = c.canceled = true
    }
    await run.untilEnded(3)
    expect(run.steps).toEqual(['a b', 'b', 'b'])
    expect(run.launched).toEqual(['a b'])
    expect(run.ended).toEqual(['a canceled', 'c canceled', 'b {"done":3}'])
    // One that never ran has nothing to give back.
    expect(run.left).toEqual(['a', 'b'])
  })

  it('a deadline counts until it joins, and not after', async () => {
    const run = start()
    run.add({ name: 'late', steps: 1 }, { deadlineAt: Date.now() - 1 })
    const item = run.add({ name: 'a', steps: 2 }, { deadlineAt: Date.now() + 60_000 })
    run.afterStep = () => Object.assign(item, { deadlineAt: 0 })
    await run.untilEnded(2)
    expect(run.ended).toEqual(['late deadline_exceeded', 'a {"done":2}'])
    expect(run.launched).toEqual(['a'])
  })
})

describe('failing', () => {
  it.each(['poison', 'bad start', 'broken', 'refused'])('%s fails alone, the others are answered', async (name) => {
    const run = start()
    run.add({ name: 'a', steps: 2 })
    run.add({ name, steps: 2 })
    run.add({ name: 'b', steps: 2 })
    await run.untilEnded(3)
    expect(run.ended.toSorted()).toEqual(['a {"done":2}', 'b {"done":2}', `${name} inference_failed`].toSorted())
    const ran = name === 'poison' || name === 'broken' ? [name] : []
    expect(run.left.toSorted()).toEqual(['a', 'b', ...ran].toSorted())
  })

  it('a stepper that forgets a sequence fails them instead of waiting for ever', async () => {
    const failing = createStepBatcher<FakeJob, FakeJob, Item>(
      {
        maxRows: 2,
        rowsOf: () => 1,
        start: async (jobs) => jobs,
        choose: (sequences) => sequences,
        phaseOf: () => 'decode',
        step: async () => [],
      },
      {
        onLaunch: async () => {},
        onText() {},
        onSettled: (outcomes) => settle(outcomes.map(({ kind }) => kind)),
      },
    )
    let settle: (kinds: string[]) => void = () => {}
    const settled = new Promise<string[]>((resolve) => {
      settle = resolve
    })
    failing.add({ prepared: { name: 'a', steps: 1 }, deadlineAt: null, canceled: false })
    expect(await settled).toEqual(['error'])
  })
})
