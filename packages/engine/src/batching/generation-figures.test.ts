import type { GenerationFigures } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import type { TaskOutput } from '../task-output.ts'
import type { Stepper } from '../tasks/stepper.ts'
import type { BatchOutcome } from './run-or-split.ts'
import { createStepBatcher } from './step-batcher.ts'

interface Job {
  name: string
  steps: number
}
interface Item {
  prepared: Job
  deadlineAt: null
  canceled: false
}

/** Runs jobs of 30 bytes to their ends; what was told after each step. */
async function runAll(jobs: readonly Job[], maxRows: number) {
  const stepper: Stepper<Job, Job & { done: number }> = {
    maxRows,
    rowsOf: () => 1,
    bytesOf: (all) => 30 * all.length,
    maxBytes: 100,
    heldBytes: () => 12,
    seenImages: () => ({ known: 1, fresh: 2 }),
    start: async (all) => all.map((job) => ({ ...job, done: 0 })),
    choose: (sequences) => sequences,
    phaseOf: ({ done }) => (done === 0 ? 'prefill' : 'decode'),
    step: async (sequences) =>
      sequences.map((sequence) => {
        sequence.done += 1
        const piece = { text: '.', index: sequence.done - 1 }
        return { piece, output: sequence.done === sequence.steps ? { done: sequence.done } : null }
      }),
  }
  const told: (GenerationFigures | null)[] = []
  const ended = new Map<string, BatchOutcome<Item, TaskOutput>>()
  let finish = (): void => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const batcher = createStepBatcher<Job, Job & { done: number }, Item>(stepper, {
    onLaunch: async () => {},
    onText: () => told.push(batcher.generation),
    onSettled(outcomes) {
      for (const outcome of outcomes) ended.set(outcome.item.prepared.name, outcome)
      if (ended.size === jobs.length) finish()
    },
  })
  for (const prepared of jobs) batcher.add({ prepared, deadlineAt: null, canceled: false })
  await finished
  const times = (name: string) => {
    const outcome = ended.get(name)
    return outcome?.kind === 'value' ? outcome.times : undefined
  }
  return { told, times }
}

test('it is told how many run and wait and what they reserve, and where the time of steps went', async () => {
  const { told } = await runAll(
    [
      { name: 'a', steps: 2 },
      { name: 'b', steps: 1 },
    ],
    1,
  )
  expect(told.map((now) => [now?.running, now?.waiting, now?.reservedBytes])).toEqual([
    [1, 1, 30],
    [0, 1, 0],
    [0, 0, 0],
  ])
  const [first, second, third] = told
  expect(first).toMatchObject({ decodeMs: 0, heldBytes: 12, limitBytes: 100, imagesKnown: 1, imagesNew: 2 })
  expect(second?.prefillMs).toBe(first?.prefillMs)
  expect(second?.decodeMs).toBeGreaterThan(0)
  expect(third?.decodeMs).toBe(second?.decodeMs)
  expect(third?.prefillMs).toBeGreaterThan(second?.prefillMs ?? Infinity)
})

test("an answer's time is split at its first token", async () => {
  const { times } = await runAll(
    [
      { name: 'long', steps: 3 },
      { name: 'short', steps: 1 },
    ],
    4,
  )
  expect(times('short')?.decodeMs).toBe(0)
  expect(times('long')?.prefillMs).toBe(times('short')?.prefillMs)
  expect(times('long')?.prefillMs).toBeGreaterThan(0)
  expect(times('long')?.decodeMs).toBeGreaterThan(0)
})
