import { VisionQueueError } from '@vision-queue/jobs'

import { isOutOfMemory } from './out-of-memory.ts'
import type { TaskOutput } from './task-output.ts'

/** What the first runs of a model have shown. */
export interface WarmUp {
  /** The largest batch that ran: what was wanted, or as much of it as the memory holds. */
  maxBatchSize: number
  /** In a full batch, by the fastest of `timedRuns`; Infinity where there were none. */
  msPerJob: number
}

/**
 * Runs a job once alone and once in a full batch, so that no caller pays for first allocations and a graph
 * that doesn't fit its files fails here. Where memory runs out the batch is halved. Of the timed runs the
 * fastest counts: what disturbs a run only makes it slower. Rejects with `model_unavailable`.
 */
export async function warmUp<Prepared>(
  run: (jobs: readonly Prepared[]) => Promise<(TaskOutput | Error)[]>,
  prepare: () => Promise<Prepared>,
  { wantedBatchSize, timedRuns }: { wantedBatchSize: number; timedRuns: number },
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
    let fastest = Infinity
    for (let runs = 0; runs < timedRuns; runs += 1) fastest = Math.min(fastest, await runBatch(maxBatchSize))
    return { maxBatchSize, msPerJob: fastest / maxBatchSize }
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
