import { VisionQueueError } from '@vision-queue/protocol'

import { isOutOfMemory } from './onnx/out-of-memory.ts'
import type { BatchRun } from './batching/run-or-split.ts'
import { type OnLoadStep, untold } from './load-step.ts'
import type { TaskOutput } from './task-output.ts'

/** Of a model whose runs take seconds, or whose provider compiles for each batch size. */
export const defaultWarmUpLimitMs = 60_000

/** What the first runs of a model have shown. */
export interface WarmUp {
  /** The largest batch that ran: what was wanted, or as much of it as the memory holds. */
  maxBatchSize: number
  /** The timed runs, none the first of its size. */
  runs: readonly BatchRun[]
}

/**
 * Runs a job once alone and once in a full batch, so that no caller pays for first allocations and a graph
 * that doesn't fit its files fails here. Where memory runs out the batch is halved. Then both sizes are run
 * `timedRuns` times, of which the costs of launches are learned. With `preparedSizes`, of a provider that prepares
 * itself for each size, these are run in their order instead. After `limitMs` no larger batch is tried: the largest that
 * ran is the model's. Rejects with `model_unavailable`.
 */
export async function warmUp<Prepared>(
  run: (jobs: readonly Prepared[]) => Promise<(TaskOutput | Error)[]>,
  prepare: () => Promise<Prepared>,
  {
    wantedBatchSize,
    timedRuns,
    preparedSizes = null,
    limitMs = Infinity,
    onStep = untold,
  }: {
    wantedBatchSize: number
    timedRuns: number
    preparedSizes?: readonly number[] | null
    limitMs?: number
    onStep?: OnLoadStep
  },
): Promise<WarmUp> {
  const begun = performance.now()
  try {
    const item = await prepare()
    let at = 0
    const planned = plannedRuns({ wantedBatchSize, timedRuns, preparedSizes, limitMs })
    const runBatch = async (size: number): Promise<number> => {
      at += 1
      await onStep({ step: 'warming_up', at, of: Math.max(at, planned) })
      const started = performance.now()
      for (const result of await run(Array.from({ length: size }, () => item))) {
        if (result instanceof Error) throw result
      }
      return performance.now() - started
    }
    await runBatch(1)
    const maxBatchSize =
      preparedSizes === null
        ? await findBatchSize(runBatch, await affordable(runBatch, wantedBatchSize, limitMs))
        : await prepareSizes(runBatch, preparedSizes, begun + limitMs)
    const runs: BatchRun[] = []
    for (const size of new Set([1, maxBatchSize])) {
      for (let timed = 0; timed < timedRuns; timed += 1) runs.push({ size, runMs: await runBatch(size) })
    }
    return { maxBatchSize, runs }
  } catch (error) {
    const why = error instanceof VisionQueueError && error.cause instanceof Error ? error.cause : error
    throw new VisionQueueError(
      'model_unavailable',
      `The model fails on a blank image: ${why instanceof Error ? why.message : 'no error was given'}`,
      { cause: error },
    )
  }
}

/** How many runs there will be if memory and time suffice for the batch that is wanted. */
function plannedRuns(wanted: {
  wantedBatchSize: number
  timedRuns: number
  preparedSizes: readonly number[] | null
  limitMs: number
}): number {
  const { wantedBatchSize, timedRuns, preparedSizes, limitMs } = wanted
  const isAlone = wantedBatchSize === 1
  const growing = preparedSizes?.length ?? (isAlone ? 0 : limitMs === Infinity ? 1 : 2)
  return 1 + growing + timedRuns * (isAlone ? 1 : 2)
}

/** The batch of which a run takes no longer than `limitMs`, by what one job takes when it isn't the first. */
async function affordable(
  runBatch: (size: number) => Promise<number>,
  wanted: number,
  limitMs: number,
): Promise<number> {
  if (wanted === 1 || limitMs === Infinity) return wanted
  return Math.max(1, Math.min(wanted, Math.floor(limitMs / (await runBatch(1)))))
}

/** Runs each size once, the next one twice as large, while there is time and memory for it; gives the last one that ran. */
async function prepareSizes(
  runBatch: (size: number) => Promise<number>,
  sizes: readonly number[],
  until: number,
): Promise<number> {
  let largest = 1
  for (const size of sizes) {
    if (performance.now() > until) break
    try {
      await runBatch(size)
      largest = size
    } catch (error) {
      if (!isOutOfMemory(error)) throw error
      break
    }
  }
  return largest
}

async function findBatchSize(runBatch: (size: number) => Promise<number>, wanted: number): Promise<number> {
  for (let size = wanted; size > 1; size = Math.floor(size / 2)) {
    try {
      await runBatch(size)
      return size
    } catch (error) {
      if (!isOutOfMemory(error)) throw error
    }
  }
  return 1
}
