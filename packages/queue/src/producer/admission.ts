import type { Step, Turns } from '@vision-queue/bullmq-batching'

import { admittedBytesKey, admittedKey, placeOf } from '../keys.ts'
import { type CachedAnswer, cachedAnswerSchema } from '../cached-answer.ts'
import { blobBytesOf } from '../parts.ts'
import { readPlaces } from '../queue-places.ts'
import { addressesOf } from '../job-blobs.ts'
import type { QueuedJob } from '../queued-job.ts'
import { VisionQueueError } from '@vision-queue/protocol'

import { turnsOf } from '../redis-turns.ts'
import { admitStep, dischargeStep } from './admission-steps.ts'
import type { JobQuota } from './owner-quota.ts'
import { turnArguments, turnKeys, type TurnOptions } from './turns.ts'
import type { RedisClient } from '@vision-queue/redis'

export interface AdmissionLimits {
  /** Unfinished jobs a model may have. */
  maxJobs: number
  /** Sum of the bytes of their blobs; a blob used by several jobs counts once for each. */
  maxBytes: number
  /** How long an unfinished job and its blobs are kept. */
  payloadTtlMs: number
}

/** How fast the model's jobs are worked off, as its consumers announce it. */
export interface Pace {
  /** All consumers together, when there is always work. */
  jobsPerSecond: number
  /** What one job takes once it is its turn, in milliseconds. */
  jobMs: number
}

export interface AdmitOptions {
  /** Of what the job asks (answerDigest): where the answer is kept, it is given. Null, the default: compute it. */
  digest: string | null
  /** Null, the default, while unknown: then no deadline is held against it. */
  pace: Pace | null
  /** Over how many parts of the model's queue jobs may be spread: no more than all its consumers know. Default: 1. */
  parts: number
  /** Of the job's owner, over all models; null, the default: unlimited. */
  quota: JobQuota | null
}

export type Admittance =
  | { kind: 'admitted'; jobsAhead: number; turn: number }
  | { kind: 'answered'; answer: CachedAnswer }

/** What an admission is known by. */
export type AdmittedJob = Pick<QueuedJob, 'id' | 'model' | 'part'>

/** Counts jobs and the bytes of their blobs, and knows nothing of where these lie. */
export interface Admission {
  /**
   * Rejects with `queue_full` and, where the jobs ahead would take longer than the job's deadline allows, with
   * `deadline_unmeetable`.
   */
  admit(job: QueuedJob, limits: AdmissionLimits, options?: Partial<AdmitOptions>): Promise<Admittance>
  /** Safe to repeat. */
  release(job: AdmittedJob): Promise<void>
  /** Over all parts of the model's queue. */
  depth(model: string): Promise<{ jobs: number; bytes: number }>
}

/** What is asked for to admit a job to its part, by the first step of its chain; limits and pace are those of the part. */
export function admissionOf(
  job: QueuedJob,
  limits: AdmissionLimits,
  { digest = null, pace = null }: Partial<AdmitOptions> = {},
  turn: TurnOptions = {},
): { step: Step; read: (reply: unknown) => Admittance } {
  const now = Date.now()
  const most = mostAhead(job, pace, now)
  const step = admitStep(placeOf(job), {
    id: job.id,
    lapseMs: limits.payloadTtlMs,
    bytes: blobBytesOf(job),
    maxJobs: limits.maxJobs,
    maxBytes: limits.maxBytes,
    mostAhead: most,
    digest,
    note: noteOf(job),
    turnKeys: turnKeys(job),
    turnArguments: turnArguments(job, turn),
  })
  return { step, read: (reply) => readAdmittance(reply, { job, limits, pace, most }) }
}

/** Throws what the job is refused with. */
function readAdmittance(
  reply: unknown,
  { job, limits, pace, most }: { job: QueuedJob; limits: AdmissionLimits; pace: Pace | null; most: number },
): Admittance {
  const [kind, first, second]: unknown[] = Array.isArray(reply) ? reply : []
  if (kind === 2) return { kind: 'answered', answer: cachedAnswerSchema.parse(JSON.parse(String(first))) }
  const [ahead, other] = [Number(first), Number(second)]
  switch (kind) {
    case 1:
      return { kind: 'admitted', jobsAhead: ahead, turn: other }
    case 0: {
      const limit =
        ahead >= limits.maxJobs
          ? `${ahead} jobs wait for ${job.model}, the limit.`
          : `The images waiting for ${job.model} hold ${other} bytes; this one would pass the limit of ${limits.maxBytes}.`
      throw new VisionQueueError('queue_full', limit, { retryAfterMs: workOffMs(ahead, pace) ?? 1000 })
    }
    case 3: {
      const detail = `${ahead} jobs wait for ${job.model}; this one's deadline would pass before its turn.`
      throw new VisionQueueError('deadline_unmeetable', detail, {
        retryAfterMs: workOffMs(ahead - most, pace) ?? 1000,
      })
    }
    default:
      throw new Error(`Redis answered an admission with something else: ${JSON.stringify(reply)}`)
  }
}

export function createAdmission(redis: RedisClient, turn: TurnOptions = {}, turns: Turns = turnsOf(redis)): Admission {
  return {
    async admit(job, limits, options) {
      const { step, read } = admissionOf(job, limits, options, turn)
      const [reply] = await turns.run([step])
      return read(reply)
    },
    async release(job) {
      await turns.run([dischargeStep(job)], { whenFull: true })
    },
    async depth(model) {
      const now = Date.now()
      const places = await readPlaces(redis, model)
      const [jobs, bytes] = await Promise.all([
        Promise.all(places.map(async (place) => redis.zcount(admittedKey(place), now, '+inf'))),
        Promise.all(places.map(async (place) => redis.hget(admittedBytesKey(place), ''))),
      ])
      return {
        jobs: jobs.reduce((sum, count) => sum + count, 0),
        bytes: bytes.reduce((sum, count) => sum + Number(count ?? 0), 0),
      }
    },
  }
}

/** What its job holds besides the bytes, for a submission that breaks off: `<hashes> <owner> <space>`. */
function noteOf(job: QueuedJob): string {
  const hashes = addressesOf(job).map(({ hash }) => hash)
  return `${hashes.join(',')} ${job.owner ?? ''} ${job.answersOf ?? ''}`
}

/** In how many milliseconds so many jobs are worked off; null where nobody knows. */
export function workOffMs(jobs: number, pace: Pace | null): number | null {
  return pace === null ? null : Math.ceil((Math.max(0, jobs) / pace.jobsPerSecond) * 1000)
}

/** The most jobs ahead with which the deadline can still be met: a job has to start by then, not to end. */
function mostAhead({ deadlineAt }: QueuedJob, pace: Pace | null, now: number): number {
  if (deadlineAt === null || pace === null) return Number.MAX_SAFE_INTEGER
  return Math.floor(((deadlineAt - now) / 1000) * pace.jobsPerSecond)
}
