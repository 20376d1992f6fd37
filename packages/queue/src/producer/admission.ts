import {
  admittedBytesKey,
  admittedKey,
  answerKey,
  imageNameOf,
  keptBytesKey,
  keptKey,
  payloadHoldersKey,
  payloadKey,
} from '../keys.ts'
import { type CachedAnswer, cachedAnswerSchema } from '../cached-answer.ts'
import { blobBytesOf, blobsOf, type Part } from '../parts.ts'
import type { QueuedJob } from '../queued-job.ts'
import { VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { defineScript } from '@vision-queue/redis'
import { admitScript, releaseScript } from './admission-scripts.ts'
import type { JobQuota } from './owner-quota.ts'
import { turnArguments, turnKeys, type TurnOptions } from './turns.ts'
import type { RedisClient } from '@vision-queue/redis'

export interface AdmissionLimits {
  /** Unfinished jobs a model may have. */
  maxJobs: number
  /** Sum of their payload bytes; an image used by several jobs counts once for each. */
  maxBytes: number
  /** How long an unfinished job and its payload are kept. */
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
  /** The job brings no image but counts on the payload of an earlier one. Default: false. */
  reusesPayload: boolean
  /** Null, the default, while unknown: then no deadline is held against it. */
  pace: Pace | null
  /** Of the job's owner, over all models; null, the default: unlimited. */
  quota: JobQuota | null
}

/** `stored`: the payload is in Redis already, and stays for this job too. */
export type Admittance =
  | { kind: 'admitted'; jobsAhead: number; turn: number; stored: boolean }
  | { kind: 'answered'; answer: CachedAnswer }

/** What an admission is known by. */
export type AdmittedJob = Pick<QueuedJob, 'id' | 'model'> & { parts: readonly Part[] }

export interface Admission {
  /**
   * Rejects with `queue_full` and, where the jobs ahead would take longer than the job's deadline allows, with
   * `deadline_unmeetable`; with `reusesPayload`, where its time is over, with `job_not_retryable`.
   */
  admit(job: QueuedJob, limits: AdmissionLimits, options?: Partial<AdmitOptions>): Promise<Admittance>
  /** Stores the payload of an admitted job, to be there before the job is queued. */
  store(job: QueuedJob, image: Uint8Array, limits: AdmissionLimits): Promise<void>
  /** `keep`: leave the payload for another try, so long and while all that is kept so is within `maxBytes`. */
  release(job: AdmittedJob, keep: { forMs: number; maxBytes: number } | null): Promise<void>
  depth(model: string): Promise<{ jobs: number; bytes: number }>
}

const admitReplySchema = z.union([
  z.tuple([z.literal(2), z.string(), z.number()]),
  z.tuple([z.literal([0, 3, 4]), z.number(), z.number()]),
  z.tuple([z.literal(1), z.number(), z.number(), z.number()]),
])

export function createAdmission(redis: RedisClient, { rounds }: TurnOptions = {}): Admission {
  const nameOf = (job: Pick<AdmittedJob, 'parts'>): string => {
    const [blob] = blobsOf(job)
    return blob === undefined ? '' : imageNameOf(blob)
  }
  const keys = (job: Pick<AdmittedJob, 'model' | 'parts'>): string[] => [
    admittedKey(job.model),
    admittedBytesKey(job.model),
    payloadKey(job.model, nameOf(job)),
    payloadHoldersKey(job.model, nameOf(job)),
  ]
  const admit = defineScript(redis, 'vqAdmit', 7, admitScript(rounds))
  const release = defineScript(redis, 'vqRelease', 6, releaseScript)

  return {
    async admit(job, limits, { digest = null, pace = null, reusesPayload = false } = {}) {
      const now = Date.now()
      const reply = await admit([
        ...keys(job),
        answerKey(job.model, digest ?? ''),
        ...turnKeys(job),
        limits.payloadTtlMs,
        job.id,
        blobBytesOf(job),
        limits.maxJobs,
        limits.maxBytes,
        mostAhead(job, pace, now),
        digest === null ? 0 : 1,
        reusesPayload ? 1 : 0,
        `${nameOf(job)} ${job.owner ?? ''}`,
        ...turnArguments(job),
      ])
      const [kind, ahead, other, stored] = admitReplySchema.parse(reply)
      switch (kind) {
        case 1:
          return { kind: 'admitted', jobsAhead: ahead, turn: other, stored: stored === 1 }
        case 2:
          return { kind: 'answered', answer: cachedAnswerSchema.parse(JSON.parse(ahead)) }
        case 0: {
          const limit =
            ahead >= limits.maxJobs
              ? `${ahead} jobs wait for ${job.model}, the limit.`
              : `The images waiting for ${job.model} hold ${other} bytes; this one would pass the limit of ${limits.maxBytes}.`
          throw new VisionQueueError('queue_full', limit, { retryAfterMs: workOffMs(ahead, pace) ?? 1000 })
        }
        case 3: {
          const most = mostAhead(job, pace, now)
          const detail = `${ahead} jobs wait for ${job.model}; this one's deadline would pass before its turn.`
          throw new VisionQueueError('deadline_unmeetable', detail, {
            retryAfterMs: workOffMs(ahead - most, pace) ?? 1000,
          })
        }
        case 4:
          throw new VisionQueueError('job_not_retryable', 'The image of the job is not kept any more.')
        default:
          return kind satisfies never
      }
    },
    async store(job, image, limits) {
      // A view, not a copy.
      const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength)
      await redis.set(payloadKey(job.model, nameOf(job)), bytes, 'PX', limits.payloadTtlMs)
    },
    async release(job, keep) {
      await release([
        ...keys(job),
        keptKey(job.model),
        keptBytesKey(job.model),
        job.id,
        keep?.forMs ?? 0,
        keep?.maxBytes ?? 0,
        nameOf(job),
      ])
    },
    async depth(model) {
      const [jobs, bytes] = await Promise.all([
        redis.zcount(admittedKey(model), Date.now(), '+inf'),
        redis.hget(admittedBytesKey(model), ''),
      ])
      return { jobs, bytes: Number(bytes ?? 0) }
    },
  }
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
