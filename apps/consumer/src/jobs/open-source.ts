import type { BlobValues } from '@vision-queue/blobs'
import type { Retention } from '@vision-queue/process'
import { failedJob } from '@vision-queue/queue'
import { type JobSource, openPartedSource } from '@vision-queue/queue/worker'
import type { RedisClient } from '@vision-queue/redis'

import type { ConsumerSettings } from '../config.ts'
import type { JobHandling } from '../fleet/model-manager.ts'
import { logEndedJob } from './ended-job-log.ts'
import { createJobProcessor, type ProcessJobOptions } from './process-job.ts'
import { createSuspectGate, type SuspectGate } from './suspect-gate.ts'

interface Options extends Omit<ProcessJobOptions, keyof JobHandling | 'suspects' | 'maxStalls' | 'maxAttempts'> {
  settings: ConsumerSettings
  /** What all sources of this process share, so that all of a turn of its event loop travels together. */
  redis: RedisClient
  /** The connection by which this process adds jobs, if it does. */
  addsBy: RedisClient | undefined
  retention: Retention
  values: BlobValues
}

/** Opens the sources of a consumer's jobs, one for each queue of each model. */
export function createSourceOpening(
  options: Options,
): (model: string, pinnedTo: string | null, handling: JobHandling) => JobSource {
  const { settings, redis, addsBy, results, retention, values, log } = options
  const gates = new Map<string, SuspectGate>()
  return (model, pinnedTo, handling) => {
    // One suspect at a time of the model, whichever of its queues it comes from.
    const suspects = gates.get(model) ?? createSuspectGate()
    gates.set(model, suspects)
    return openPartedSource({
      redisUrl: settings.REDIS_URL,
      addsBy,
      redis,
      values,
      model,
      pinnedTo,
      parts: settings.QUEUE_PARTS,
      concurrency: settings.CONCURRENCY,
      lockMs: settings.LOCK_MS,
      stalledCheckMs: settings.STALLED_CHECK_MS,
      handle: createJobProcessor({
        ...options,
        ...handling,
        suspects,
        maxStalls: settings.MAX_STALLS,
        maxAttempts: settings.MAX_ATTEMPTS,
      }),
      giveUp: async (job, attempts) => {
        const final = failedJob(job, attempts, retention.failedResultTtlMs)
        if (!(await results.finish(job, final))) return
        options.work.ended(job, final, null)
        logEndedJob(log, job, final)
      },
      log,
    })
  }
}
