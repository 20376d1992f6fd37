import type { LaunchReason, ModelStats } from '@vision-queue/protocol'

import type { Launch } from '@vision-queue/engine/messages'
import type { BatchRun } from '@vision-queue/engine/messages'

/** Counts what a pool has done since it was made. */
export interface PoolStats {
  countRuns: (runs: readonly BatchRun[]) => void
  countLaunches: (launches: readonly Launch[]) => void
  countJob: (outcome: 'succeeded' | 'failed' | 'expired' | 'canceled', preprocessMs?: number) => void
  figures: () => Omit<ModelStats, 'engineRestarts' | 'cost' | 'capacity'>
}

export function createPoolStats(): PoolStats {
  const batches = new Map<number, number>()
  const jobs = new Map<string, number>()
  const reasons = new Map<LaunchReason, number>()
  const launched = { predicted: 0, predictedMs: 0, actualMs: 0 }
  let inferenceMs = 0
  let preprocessMs = 0
  return {
    countRuns(runs) {
      for (const { size, runMs } of runs) {
        batches.set(size, (batches.get(size) ?? 0) + 1)
        inferenceMs += runMs
      }
    },
    countLaunches(launches) {
      for (const { reason, predictedMs, actualMs } of launches) {
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
        if (predictedMs === null) continue
        launched.predicted += 1
        launched.predictedMs += predictedMs
        launched.actualMs += actualMs
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
      launches: { reasons: Object.fromEntries(reasons), ...launched },
    }),
  }
}
