import { VisionQueueError } from '@vision-queue/protocol'

import { isOutOfMemory } from './onnx/out-of-memory.ts'
import type { BatchRun } from './batching/run-or-split.ts'
import type { TaskOutput } from './task-output.ts'

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
 * `timedRuns` times, of which the costs of launches are learned. `otherSizes` are run once each, where the provider prepares itself for each size. Rejects with `model_unavailable`.
 */
export async function warmUp<Prepared>(
  run: (jobs: readonly Prepared[]) => Promise<(TaskOutput | Error)[]>,
  prepare: () => Promise<Prepared>,
  {
    wantedBatchSize,
    timedRuns,
    otherSizes = () => [],
  }: {
    wantedBatchSize: number
    timedRuns: number
    otherSizes?: (maxBatchSize: number) => readonly number[]
  },
): Promise<WarmUp> {
  try {
    const item = await prepare()
    const runBatch = async (size: number): Promise<number> => {
      const started = performance.now()
      for (const result of await run(Array.from({ length: size }, () => item))) {
        if (result instanceof Error) throw result
      }
      return performance.now() - started
    }
    await runBatch(1)
    const maxBatchSize = await findBatchSize(runBatch, wantedBatchSize)
    for (const size of otherSizes(maxBatchSize)) await runBatch(size)
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
