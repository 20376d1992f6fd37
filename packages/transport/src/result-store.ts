import {
  type FinalJob,
  finalJobSchema,
  type JobChange,
  jobChannel,
  jobKey,
  type QueuedJob,
  resultKey,
} from '@vision-queue/jobs'
import type { Redis } from 'ioredis'

import { createAdmission, defineScript } from './admission.ts'
import { createUploadRelease } from './image-store.ts'

/**
 * Results, written once: the first final state of a job stays, whoever runs it again. It is
 * published only by the write that won, so no waiter sees two.
 */
export interface ResultStore {
  read(id: string): Promise<FinalJob | null>
  /**
   * Stores and publishes the final state, then gives back the admission and the payload.
   * Resolves to false when the job had a final state already. Safe to repeat.
   */
  finish(job: QueuedJob, final: FinalJob): Promise<boolean>
  /** Tells watchers that a job runs; a hint that may be lost, the truth is BullMQ's. */
  announceRunning(id: string, startedAt: number, attempts: number): Promise<void>
}

const finishScript = `
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1`

export interface ResultStoreOptions {
  redis: Redis
  /** How long a result can be read. */
  resultTtlMs: number
  /** How long an image stays after the last job that needs it. */
  keepPayloadMs: number
}

export function createResultStore({ redis, resultTtlMs, keepPayloadMs }: ResultStoreOptions): ResultStore {
  const finish = defineScript(redis, 'vqFinish', 1, finishScript)
  const admission = createAdmission(redis)
  const releaseUpload = createUploadRelease(redis)
  const encode = (change: JobChange): string => JSON.stringify(change)

  return {
    async read(id) {
      const stored = await redis.get(resultKey(id))
      return stored === null ? null : finalJobSchema.parse(JSON.parse(stored))
    },
    async finish(job, final) {
      // Sent together: Redis runs them in this order, so the slot is never free before the result is there.
      const [written] = await Promise.all([
        finish([
          resultKey(job.id),
          JSON.stringify(final),
          resultTtlMs,
          jobChannel(job.id),
          encode({ kind: 'final', job: final }),
        ]),
        admission.release(job, keepPayloadMs),
        job.image.uploaded ? releaseUpload(job.image.hash, job.id) : null,
        redis.unlink(jobKey(job.id)),
      ])
      return written === 1
    },
    async announceRunning(id, startedAt, attempts) {
      await redis.publish(jobChannel(id), encode({ kind: 'running', startedAt, attempts }))
    },
  }
}
