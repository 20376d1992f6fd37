import { setImmediate as nextTurn } from 'node:timers/promises'

import type { Phase } from '../generation/phase-turns.ts'
import type { TextPiece } from '../generation/text-stream.ts'
import type { TaskOutput } from '../task-output.ts'
import type { Stepper } from '../tasks/stepper.ts'
import type { DynamicBatcher, DynamicBatcherOptions } from './dynamic-batcher.ts'
import { generationFigures, timed, type TimeSpent } from './generation-figures.ts'
import {
  failure,
  runOrSplit,
  type BatchItem,
  type BatchOutcome,
  type BatchRun,
  type RunOptions,
} from './run-or-split.ts'
import { beginItems, countStep, takeWaiting, type Running } from './running-items.ts'

export type StepBatcherOptions<Item> = Pick<DynamicBatcherOptions<Item, TaskOutput>, 'onLaunch' | 'onSettled'> & {
  /** Told after a step what it added to the answers. */
  onText: (pieces: { item: Item; piece: TextPiece }[]) => void
}

/** How long steps may go on without a word: what watches over the engine takes silence for death. */
const reportMs = 250

/**
 * Continuous batching: between any two steps the sequences that are finished or canceled leave, and
 * waiting items join as long as there are rows and bytes for them, the oldest first. An item that needs more
 * rows than there are runs by itself; one that needs more bytes than there are is refused.
 *
 * waiting --join, onLaunch--> running --step--> running ... --finished, failed or canceled--> settled
 *
 * A start or a step that rejects is split in halves and run again until the item at fault fails alone.
 * An outcome's `runMs` sums the runs that its item took part in, and `batchSize` is their mean size.
 */
export function createStepBatcher<Prepared, Sequence, Item extends BatchItem & { readonly prepared: Prepared }>(
  stepper: Stepper<Prepared, Sequence>,
  { onLaunch, onSettled, onText }: StepBatcherOptions<Item>,
): DynamicBatcher<Item> {
  const waiting: Item[] = []
  let running: Running<Item, Sequence>[] = []
  let unreportedRuns: BatchRun[] = []
  let reportedAt = 0
  let busy = false
  const spentMs: TimeSpent = { encode: 0, prefill: 0, decode: 0 }

  async function workWhileThereIsSome(): Promise<void> {
    busy = true
    reportedAt = performance.now()
    while (waiting.length > 0 || running.length > 0) {
      await nextTurn()
      leaveCanceled()
      await join()
      if (running.length > 0) await step()
    }
    busy = false
  }

  function report(outcomes: BatchOutcome<Item, TaskOutput>[]): void {
    if (outcomes.length === 0 && (unreportedRuns.length === 0 || performance.now() - reportedAt < reportMs)) return
    reportedAt = performance.now()
    onSettled(outcomes, unreportedRuns, null)
    unreportedRuns = []
  }

  function leaveCanceled(): void {
    const canceled = running.filter(({ item }) => item.canceled)
    for (const { sequence } of canceled) stepper.leave?.(sequence)
    running = running.filter(({ item }) => !item.canceled)
    report(canceled.map(({ item }) => ({ kind: 'canceled', item })))
  }

  async function join(): Promise<void> {
    const { taken: items, dropped } = takeWaiting(waiting, running, stepper)
    if (dropped.length > 0) report(dropped)
    if (items.length === 0) return
    try {
      await onLaunch(items)
    } catch (error) {
      report(items.map((item) => failure(item, error)))
      return
    }
    const joinedAt = performance.now()
    // Where a stepper does something here, it is the images.
    const start = async (some: readonly Item[]) => stepper.start(some.map(({ prepared }) => prepared))
    const { begun, failed } = beginItems(await attempt('encode', items, start), joinedAt)
    running.push(...begun)
    report(failed)
  }

  async function step(): Promise<void> {
    const chosen = new Set(stepper.choose(running.map(({ sequence }) => sequence)))
    const moving = running.filter(({ sequence }) => chosen.has(sequence))
    const phase = moving[0] === undefined ? 'decode' : stepper.phaseOf(moving[0].sequence)
    const results = await attempt(phase, moving, async (some) => stepper.step(some.map(({ sequence }) => sequence)))
    const { outcomes, pieces, ended } = countStep(results, stepper.phaseOf)
    running = running.filter((one) => !ended.has(one))
    for (const { sequence } of ended) stepper.leave?.(sequence)
    if (pieces.length > 0) onText(pieces)
    report(outcomes)
  }

  const attempt = async <I, V>(phase: Phase, inputs: readonly I[], run: RunOptions<I, V>['run']) =>
    timed(spentMs, phase, async () => runOrFail(run, inputs, { maxRows: stepper.maxRows, runs: unreportedRuns }))

  return {
    add(item) {
      waiting.push(item)
      if (!busy) void workWhileThereIsSome()
    },
    get waiting() {
      return waiting.length
    },
    limit: stepper.maxRows,
    // Items join between any two steps: there is nobody to wait for, and no batch whose size could be chosen.
    drain() {},
    cost: null,
    get generation() {
      const prepared = running.map(({ item }) => item.prepared)
      return generationFigures(stepper, spentMs, { running: prepared, waiting: waiting.length })
    },
  }
}

/** One run of several, or as many as it takes to find who is at fault; never rejects. */
async function runOrFail<Input, Value>(
  run: RunOptions<Input, Value>['run'],
  inputs: readonly Input[],
  { maxRows, runs }: { maxRows: number; runs: BatchRun[] },
): Promise<BatchOutcome<Input, Value>[]> {
  try {
    return await runOrSplit({ run, maxBatchSize: Math.max(maxRows, inputs.length) }, inputs, runs)
  } catch (error) {
    return inputs.map((input) => failure(input, error))
  }
}
