import {
  answerKey,
  type CachedAnswer,
  cachedAnswerSchema,
  type FinalJob,
  finalJobSchema,
  idempotencyKey,
  type JobChange,
  jobChannel,
  jobKey,
  type QueuedJob,
  replyChannel,
  resultKey,
  type Retention,
} from '@vision-queue/jobs'

import { createAdmission, defineScript } from './admission.ts'
import { createUploadRelease } from './image-store.ts'
import { createOwnerQuotas } from './owner-quota.ts'
import { indexEnding } from './job-index.ts'
import { publishChange } from './publish-change.ts'
import type { RedisClient } from './redis-connection.ts'

/**
 * Results, written once: the first final state of a job stays, whoever runs it again. It is
 * published only by the write that won, so no waiter sees two.
 */
export interface ResultStore {
  read(id: string): Promise<FinalJob | null>
  /**
   * Stores and publishes the final state, until it expires, then gives back the admission and, unless the job may be
   * run again, the payload; keeps the answer for others under `digest`, unless that is null. Resolves to false when the job had a final state already.
   * Safe to repeat.
   */
  finish(job: QueuedJob, final: FinalJob, digest?: string | null): Promise<boolean>
  /** Stores the final state of a job that was never queued. */
  keep(final: FinalJob): Promise<void>
  /** An answer that is kept for whoever asks the same; null where there is none. */
  readAnswer(model: string, digest: string): Promise<CachedAnswer | null>
  /** Tells watchers that a job runs; a hint that may be lost, the truth is BullMQ's. */
  announceRunning(id: string, startedAt: number, attempts: number): Promise<void>
}

/**
 * Runs when Redis' memory is full, too: a job that was accepted must come to its end, and what its end gives
 * back is more than its result takes. Without the flag its record would be gone and its result refused.
 */
const finishScript = `#!lua flags=allow-oom
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
redis.call('PUBLISH', ARGV[3], ARGV[4])
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[5], ARGV[4]) end
return 1`

export interface ResultStoreOptions {
  redis: RedisClient
  retention: Retention
  /** How long an answer serves others who ask the same. 0: never. */
  answerTtlMs: number
}

export function createResultStore({ redis, retention, answerTtlMs }: ResultStoreOptions): ResultStore {
  const finish = defineScript(redis, 'vqFinish', 1, finishScript)
  const admission = createAdmission(redis)
  const releaseUpload = createUploadRelease(redis)
  const quotas = createOwnerQuotas(redis)
  const encode = (change: JobChange): string => JSON.stringify(change)

  const keepAnswer = async ({ model, output, version, variant }: FinalJob, digest: string): Promise<void> => {
    if (answerTtlMs === 0 || output === null || version === null || variant === null) return
    const answer: CachedAnswer = { output, version, variant, expiresAt: Date.now() + answerTtlMs }
    await redis.set(answerKey(model, digest), JSON.stringify(answer), 'PX', answerTtlMs)
  }

  return {
    async read(id) {
      const stored = await redis.get(resultKey(id))
      return stored === null ? null : finalJobSchema.parse(JSON.parse(stored))
    },
    async finish(job, final, digest = null) {
      const readableMs = readableFor(final)
      // What another try needs. Gone before the result, so that no reader takes the job for a waiting one.
      const keepMs =
        final.status === 'succeeded' ? 0 : Math.min(retention.failedPayloadTtlMs, Math.floor(readableMs * 0.9))
      const keep = keepMs === 0 ? null : { forMs: keepMs, maxBytes: retention.failedPayloadMaxBytes }
      const writing = finish([
        resultKey(job.id),
        JSON.stringify(final),
        readableMs,
        jobChannel(job.id),
        encode({ kind: 'final', job: final }),
        job.replyTo === null ? '' : replyChannel(job.replyTo),
      ])
      // Sent together: Redis runs them in this order, so the slot is never free before the result is there. The
      // nodes of a Cluster keep no order among them.
      if (redis.isCluster) await writing
      const [written] = await Promise.all([
        writing,
        admission.release(job, keep),
        job.image.uploaded ? releaseUpload(job.image.hash, job.id) : null,
        job.owner === null ? null : quotas.release(job),
        keep === null ? redis.unlink(jobKey(job.id)) : redis.pexpire(jobKey(job.id), keep.forMs),
        final.status === 'succeeded' ? null : ifRoom(indexEnding(redis, job, final, retention)),
        digest === null ? null : ifRoom(keepAnswer(final, digest)),
        job.idempotencyKeyHash === undefined
          ? null
          : redis.pexpire(idempotencyKey(job.owner, job.idempotencyKeyHash), readableMs),
      ])
      return written === 1
    },
    async keep(final) {
      await redis.set(resultKey(final.id), JSON.stringify(final), 'PX', readableFor(final))
    },
    async readAnswer(model, digest) {
      const kept = await redis.get(answerKey(model, digest))
      return kept === null ? null : cachedAnswerSchema.parse(JSON.parse(kept))
    },
    async announceRunning(id, startedAt, attempts) {
      await publishChange(redis, id, { kind: 'running', startedAt, attempts })
    },
  }
}

/** Milliseconds until the job says that it expires. */
function readableFor({ expires_at: expiresAt }: FinalJob): number {
  return expiresAt === null ? 1 : Math.max(1, Date.parse(expiresAt) - Date.now())
}

/** What a job's end can do without: a Redis whose memory is full refuses it, and the job has ended all the same. */
async function ifRoom(work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!(error instanceof Error && error.message.startsWith('OOM'))) throw error
  })
}
