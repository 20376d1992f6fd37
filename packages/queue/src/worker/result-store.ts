import { answerKey, idempotencyKey, jobChannel, jobKey, replyChannel, resultKey } from '../keys.ts'
import { type CachedAnswer, cachedAnswerSchema } from '../cached-answer.ts'
import { type FinalJob, finalJobSchema } from '@vision-queue/protocol'
import type { JobChange } from '../job-change.ts'
import type { QueuedJob } from '../queued-job.ts'
import type { Retention } from '@vision-queue/process'
import { createRedisBlobs } from '@vision-queue/blobs'
import { z } from 'zod'

import { createAdmission } from '../producer/admission.ts'
import { defineScript } from '@vision-queue/redis'
import { createEndedBytes } from '../ended-bytes.ts'
import { createJobBlobs } from '../job-blobs.ts'
import { createOwnerQuotas } from '../producer/owner-quota.ts'
import { indexEnding } from '../producer/job-index.ts'
import { publishChange } from '../publish-change.ts'
import type { RedisClient } from '@vision-queue/redis'

/**
 * Results, written once: the first final state of a job stays, whoever runs it again. It is
 * published only by the write that won, so no waiter sees two.
 */
export interface ResultStore {
  read(id: string): Promise<FinalJob | null>
  /**
   * Stores and publishes the final state, until it expires, then gives back the admission and, unless the job may be
   * run again, its blobs; keeps the answer for others under `digest`, unless that is null. Resolves to false when the
   * job had a final state already: then that one decides what is kept. An owner whose ended jobs hold their bound
   * already has the state stored with an earlier `expires_at`. Safe to repeat.
   */
  finish(job: QueuedJob, final: FinalJob, digest?: string | null): Promise<boolean>
  /** Stores the final state of a job that was never queued; resolves to it as it is stored. */
  keep(final: FinalJob): Promise<FinalJob>
  /** An answer that is kept for whoever asks the same; null where there is none. */
  readAnswer(model: string, digest: string): Promise<CachedAnswer | null>
  /** Tells watchers that a job runs; a hint that may be lost, the truth is BullMQ's. */
  announceRunning(id: string, startedAt: number, attempts: number): Promise<void>
}

/**
 * Runs when Redis' memory is full, too: a job that was accepted must come to its end, and what its end gives
 * back is more than its result takes. Without the flag its record would be gone and its result refused.
 * Gives 1, or the final state that was there.
 */
const finishScript = `#!lua flags=allow-oom
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return redis.call('GET', KEYS[1]) end
redis.call('PUBLISH', ARGV[3], ARGV[4])
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[5], ARGV[4]) end
return 1`

const finishReplySchema = z.union([z.literal(1), z.string()])

export interface ResultStoreOptions {
  redis: RedisClient
  retention: Retention
  /** How long an answer serves others who ask the same. 0: never. */
  answerTtlMs: number
}

export function createResultStore({ redis, retention, answerTtlMs }: ResultStoreOptions): ResultStore {
  const finish = defineScript(redis, 'vqFinish', 1, finishScript)
  const admission = createAdmission(redis)
  const blobs = createJobBlobs(redis, createRedisBlobs(redis))
  const quotas = createOwnerQuotas(redis)
  const ended = createEndedBytes(redis, retention)
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
    async finish(job, unlimited, digest = null) {
      const final = ended.limited(unlimited)
      const encoded = JSON.stringify(final)
      const reply = await finish([
        resultKey(job.id),
        encoded,
        readableFor(final),
        jobChannel(job.id),
        encode({ kind: 'final', job: final }),
        job.replyTo === null ? '' : replyChannel(job.replyTo),
      ])
      const there = finishReplySchema.parse(reply)
      // Not before it is known which final state stands: a result that comes after a cancellation must not take along
      // what another try needs.
      const standing = there === 1 ? final : finalJobSchema.parse(JSON.parse(there))
      const keep = keptFor(standing, retention)
      await Promise.all([
        admission.release(job),
        keep === null ? blobs.release(job) : blobs.keep(job, keep),
        job.owner === null ? null : quotas.release(job),
        keep === null ? redis.unlink(jobKey(job.id)) : keepRecord(redis, job, keep.forMs),
        standing.status === 'succeeded' ? null : ifRoom(indexEnding(redis, job, standing, retention)),
        digest === null ? null : ifRoom(keepAnswer(final, digest)),
        job.idempotencyKeyHash === undefined
          ? null
          : redis.pexpire(idempotencyKey(job.owner, job.idempotencyKeyHash), readableFor(standing)),
      ])
      if (there === 1) {
        const record = keep === null ? 0 : JSON.stringify([job.parts, job.input, job.parameters]).length
        ended.add(final, { result: encoded.length, record })
      }
      return there === 1
    },
    async keep(unlimited) {
      const final = ended.limited(unlimited)
      const encoded = JSON.stringify(final)
      await redis.set(resultKey(final.id), encoded, 'PX', readableFor(final))
      ended.add(final, { result: encoded.length, record: 0 })
      return final
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

/** For how long and within which bound the image and the record of a job are kept for another try; null: not at all. */
function keptFor(final: FinalJob, retention: Retention): { forMs: number; maxBytes: number } | null {
  if (final.status === 'succeeded') return null
  // Gone before the result, so that no reader takes the job for a waiting one.
  const forMs = Math.min(retention.failedPayloadTtlMs, Math.floor(readableFor(final) * 0.9))
  return forMs === 0 ? null : { forMs, maxBytes: retention.failedPayloadMaxBytes }
}

/** Of whatever release it is. */
const recordSchema = z.record(z.string(), z.json())

/** Keeps the record of an ended job, without the metadata: the result has it, and it may be most of what is kept. */
async function keepRecord(redis: RedisClient, { id, metadata }: QueuedJob, forMs: number): Promise<void> {
  await redis.pexpire(jobKey(id), forMs)
  if (metadata === null) return
  const record = await redis.get(jobKey(id))
  if (record === null) return
  const without = { ...recordSchema.parse(JSON.parse(record)), metadata: null }
  const stored = redis.set(jobKey(id), JSON.stringify(without), 'PX', forMs, 'XX')
  await ifRoom(stored)
}

/** What a job's end can do without: a Redis whose memory is full refuses it, and the job has ended all the same. */
async function ifRoom(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!(error instanceof Error && error.message.startsWith('OOM'))) throw error
  })
}
