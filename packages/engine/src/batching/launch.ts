import type { LaunchReason } from '@vision-queue/protocol'

import {
  failure,
  runOrSplit,
  type BatchItem,
  type BatchOutcome,
  type BatchRun,
  type RunOptions,
} from './run-or-split.ts'
import type { Bucket } from './waiting-items.ts'

/** A launch, explained; of those whose batch had to be split there is none. */
export interface Launch {
  reason: LaunchReason
  size: number
  /** From taking the batch to its answers; null before the first observation. */
  predictedMs: number | null
  actualMs: number
}

/** What became of a batch: how its items ended, the runs that it took, and its launch. */
export type Settled<Item, Value> = [outcomes: BatchOutcome<Item, Value>[], runs: BatchRun[], launch: Launch | null]

/** A launch that took so many times what is predicted for the slowest hundredth was predicted wrongly. */
const allowance = 3

/** Runs a batch and tells the bucket what the launch cost. Never rejects: then every item has failed. */
export async function launchBatch<Item extends BatchItem, Value>(
  { items, bucket: { cost, cap }, reason }: { items: Item[]; bucket: Bucket<Item>; reason: LaunchReason },
  options: RunOptions<Item, Value> & {
    onLaunch: (items: readonly Item[]) => Promise<void>
    onOutOfMemory: (size: number) => void
    objectiveMs: number
  },
): Promise<Settled<Item, Value>> {
  const runs: BatchRun[] = []
  const size = items.length
  const predictedMs = cost.predict(size)
  const expectedMs = (predictedMs ?? Infinity) + (cost.figures?.p99OverMs ?? 0)
  const allowedMs = Math.max(allowance * expectedMs, options.objectiveMs / 2)
  const started = performance.now()
  let outcomes: BatchOutcome<Item, Value>[]
  try {
    await options.onLaunch(items)
    outcomes = await runOrSplit(options, items, runs)
  } catch (error) {
    return [items.map((item) => failure(item, error)), runs, null]
  }
  if (runs.length !== 1 || outcomes.every(({ kind }) => kind === 'error')) return [outcomes, runs, null]
  const actualMs = performance.now() - started
  cost.observe(size, actualMs)
  cap.observe({ size, actualMs, allowedMs })
  return [outcomes, runs, { reason, size, predictedMs, actualMs }]
}
