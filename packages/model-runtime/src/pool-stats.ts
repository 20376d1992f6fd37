import type { ModelStats } from '@vision-queue/jobs'

import type { BatchRun } from './dynamic-batcher.ts'

/** Counts what a pool has done since it was made. */
export interface PoolStats {
  countRuns: (runs: readonly BatchRun[]) => void
  countJob: (outcome: 'succeeded' | 'failed' | 'expired' | 'canceled', preprocessMs?: number) => void
  figures: () => Omit<ModelStats, 'engineRestarts'>
}

export function createPoolStats(): PoolStats {
  const batches = new Map<number, number>()
  const jobs = new Map<string, number>()
  let inferenceMs = 0
  let preprocessMs = 0
  return {
    countRuns(runs) {
      for (const { size, runMs } of runs) {
        batches.set(size, (batches.get(size) ?? 0) + 1)
        inferenceMs += runMs
      }
    },
    countJob(outcome, itsPreprocessMs = 0) {
      jobs.set(outcome, (jobs.get(outcome) ?? 0) + 1)
      preprocessMs += itsPreprocessMs
    },
    figures: () => ({
      batches: Object.fromEntries(batches),
      jobs: Object.fromEntries(jobs),
      inferenceMs,
      preprocessMs,
    }),
  }
}
