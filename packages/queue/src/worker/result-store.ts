import type { Step, Turns } from '@vision-queue/bullmq-batching'
import type { Retention } from '@vision-queue/process'
import { type FinalJob, finalJobSchema } from '@vision-queue/protocol'
import type { RedisClient } from '@vision-queue/redis'
import { z } from 'zod'

import { type CachedAnswer, cachedAnswerSchema } from '../cached-answer.ts'
import { createEndedBytes } from '../ended-bytes.ts'
import { keepSteps, releaseSteps } from '../job-blobs.ts'
import { answerKey, idempotencyKey, jobKey, placeOf, resultKey } from '../keys.ts'
import { dischargeStep } from '../producer/admission-steps.ts'
import { endingStep } from '../producer/job-index.ts'
import { placeBackStep } from '../producer/owner-quota.ts'
import type { QueuedJob } from '../queued-job.ts'
import { expireStep, unlinkStep } from '../record-steps.ts'
import { turnsOf } from '../redis-turns.ts'
import { turnReaderOf } from '../turn-reader.ts'
import { answerStep, changeStep, resultStep } from './end-steps.ts'

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
  /** The same; resolves to the final state that the job has then. */
  end(job: QueuedJob, final: FinalJob): Promise<FinalJob>
  /** The same as steps of the caller's chain, which runs when memory is full, too. */
  endOf(job: QueuedJob, final: FinalJob, digest?: string | null): JobEnd
  /** Stores the final state of a job that was never queued; resolves to it as it is stored. */
  keep(final: FinalJob): Promise<FinalJob>
  /** An answer that is kept in the job's part for whoever asks the same; null where there is none. */
  readAnswer(job: Pick<QueuedJob, 'model' | 'part'>, digest: string): Promise<CachedAnswer | null>
  /** Tells watchers that a job runs; a hint that may be lost, the truth is BullMQ's. */
  announceRunning(id: string, startedAt: number, attempts: number): Promise<void>
}

/** A job's end as steps. Where the job had a final state already, the chain ends with the first of them. */
export interface JobEnd {
  steps: Step[]
  /** Does what the steps could not, by what they have replied; resolves as `finish` does. */
  settle(replies: readonly unknown[]): Promise<boolean>
}

export interface ResultStoreOptions {
  redis: RedisClient
  /** Default: those of the connection. */
  turns?: Turns
  retention: Retention
  /** How long an answer serves others who ask the same. 0: never. */
  answerTtlMs: number
}

export function createResultStore({
  redis,
  turns = turnsOf(redis),
  retention,
  answerTtlMs,
}: ResultStoreOptions): ResultStore {
  const readOfTurn = turnReaderOf(redis)
  const ended = createEndedBytes(redis, retention, turns)
  // A job that was accepted must come to its end when Redis' memory is full, too, and what its end gives back is more
  // than it takes.
  const inOneVisit = async (steps: Step[]): Promise<unknown[]> => turns.run(steps, { whenFull: true })

  const read: ResultStore['read'] = async (id) => {
    const stored = await redis.get(resultKey(id))
    return stored === null ? null : finalJobSchema.parse(JSON.parse(stored))
  }

  /** Does what the steps of an end could not, by what they have replied. */
  const settle = async (end: PlannedEnd, [there, ...replies]: readonly unknown[]): Promise<Standing> => {
    const { job, final, json } = end
    // The same text: it was stored by a call whose reply was lost.
    const isFirst = there === 1 || there === json
    if (there === 1) await finishLeaving(job, end.leaving, replies)
    // Which final state stands decides what is kept: a result that comes after a cancellation must not take along what
    // another try needs.
    const standing = typeof there === 'string' ? finalJobSchema.parse(JSON.parse(there)) : final
    if (there !== 1) {
      const leaving = leavingOf(job, standing, retention)
      const rest = [...leaving.steps, ...answerSteps(job, final, end.digest, answerTtlMs)]
      await finishLeaving(job, leaving, await inOneVisit(rest))
    }
    if (isFirst) ended.add(final, { result: json.length, record: end.leaving.keptBytes })
    return { isFirst, standing }
  }

  const finishLeaving = async (job: QueuedJob, leaving: Leaving, replies: readonly unknown[]): Promise<void> => {
    const rest = leaving.rest(replies)
    await Promise.all([
      rest.length === 0 ? null : inOneVisit(rest),
      leaving.keptForMs === null ? null : dropMetadata(redis, job, leaving.keptForMs),
    ])
  }

  const plan = (job: QueuedJob, unlimited: FinalJob, digest: string | null): PlannedEnd => {
    const final = ended.limited(unlimited)
    const json = JSON.stringify(final)
    const leaving = leavingOf(job, final, retention)
    // The places first: whoever hears the result may submit the next job.
    const steps = [
      resultStep(job, json, readableFor(final)),
      ...leaving.steps,
      ...answerSteps(job, final, digest, answerTtlMs),
    ]
    return { job, final, json, digest, leaving, steps }
  }
  const carryOut = async (end: PlannedEnd): Promise<Standing> => settle(end, await inOneVisit(end.steps))

  return {
    read,
    endOf(job, final, digest = null) {
      const end = plan(job, final, digest)
      return { steps: end.steps, settle: async (replies) => (await settle(end, replies)).isFirst }
    },
    finish: async (job, final, digest = null) => (await carryOut(plan(job, final, digest))).isFirst,
    end: async (job, final) => (await carryOut(plan(job, final, null))).standing,
    async keep(unlimited) {
      const final = ended.limited(unlimited)
      const encoded = JSON.stringify(final)
      await redis.set(resultKey(final.id), encoded, 'PX', readableFor(final))
      ended.add(final, { result: encoded.length, record: 0 })
      return final
    },
    async readAnswer(job, digest) {
      const kept = await readOfTurn(answerKey(placeOf(job), digest))
      return kept === null ? null : cachedAnswerSchema.parse(JSON.parse(kept))
    },
    async announceRunning(id, startedAt, attempts) {
      await turns.run([changeStep(id, { kind: 'running', startedAt, attempts })])
    },
  }
}

/** Keeps the answer for others under `digest`, where there is one. */
function answerSteps(
  job: QueuedJob,
  { output, version, variant }: FinalJob,
  digest: string | null,
  forMs: number,
): Step[] {
  if (digest === null || forMs === 0 || output === null || version === null || variant === null) return []
  const answer: CachedAnswer = { output, version, variant, expiresAt: Date.now() + forMs }
  return [answerStep(job, digest, JSON.stringify(answer), forMs)]
}

/** A job's end, before it is carried out. */
interface PlannedEnd {
  job: QueuedJob
  final: FinalJob
  /** The final state as JSON. */
  json: string
  digest: string | null
  leaving: Leaving
  steps: Step[]
}

interface Standing {
  /** Whether the final state is the one that was given. */
  isFirst: boolean
  /** The final state that the job has. */
  standing: FinalJob
}

/** What becomes of all that an ended job has beside its result. */
interface Leaving {
  steps: Step[]
  /** The steps that are left, by what these have replied. */
  rest(replies: readonly unknown[]): Step[]
  /** For how long the record is kept for another try; null: it isn't. */
  keptForMs: number | null
  /** Of the record, roughly. */
  keptBytes: number
}

function leavingOf(job: QueuedJob, final: FinalJob, retention: Retention): Leaving {
  const keep = keptFor(final, retention)
  const before = placeSteps(job, readableFor(final))
  const after = final.status === 'succeeded' ? [] : [endingStep(job, final, retention)]
  // A job that is not tried again leaves neither its blobs nor its record.
  if (keep === null) {
    const steps = [...before, ...releaseSteps(job), unlinkStep(jobKey(job.id)), ...after]
    return { steps, rest: () => [], keptForMs: null, keptBytes: 0 }
  }
  const kept = keepSteps(job, keep)
  return {
    steps: [...before, ...kept.steps, expireStep(jobKey(job.id), keep.forMs), ...after],
    rest: (replies) => kept.untaken(replies.slice(before.length)),
    keptForMs: keep.forMs,
    keptBytes: JSON.stringify([job.parts, job.input, job.parameters]).length,
  }
}

/** Every ended job gives back its places, and its Idempotency-Key lapses with its result, in `forMs`. */
function placeSteps(job: QueuedJob, forMs: number): Step[] {
  const { owner, idempotencyKeyHash: keyHash } = job
  const place = placeBackStep(job)
  return [
    ...(place === null ? [] : [place]),
    ...(keyHash === undefined ? [] : [expireStep(idempotencyKey(owner, keyHash), forMs)]),
    dischargeStep(job),
  ]
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

/**
 * Takes the metadata out of the record that is kept of an ended job: the result has it, and it may be most of what is
 * kept. Not among the steps, as it takes a parser that changes nothing else.
 */
async function dropMetadata(redis: RedisClient, { id, metadata }: QueuedJob, forMs: number): Promise<void> {
  if (metadata === null) return
  const record = await redis.get(jobKey(id))
  if (record === null) return
  const without = { ...recordSchema.parse(JSON.parse(record)), metadata: null }
  await redis.set(jobKey(id), JSON.stringify(without), 'PX', forMs, 'XX').catch((error: unknown) => {
    // What a job's end can do without: a Redis whose memory is full refuses it, and the job has ended all the same.
    if (!(error instanceof Error && error.message.startsWith('OOM'))) throw error
  })
}
