import { type BlobAddress, needStep, readNeeded } from '@vision-queue/blobs'
import type { Step } from '@vision-queue/bullmq-batching'

import type { CachedAnswer } from '../cached-answer.ts'
import { addressesOf } from '../job-blobs.ts'
import { queueStep } from '../job-queues.ts'
import { jobKey } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'
import { recordStep } from '../record-steps.ts'
import { byStep } from './admission-steps.ts'
import { type AdmissionLimits, admissionOf, type AdmitOptions } from './admission.ts'
import { quotaOf } from './owner-quota.ts'

/** How far a chain has brought a job. */
export type Progress =
  /** Redis came to it after the time that was given: nothing was done. */
  | { kind: 'late' }
  | { kind: 'answered'; answer: CachedAnswer }
  | { kind: 'queued'; jobsAhead: number; shared: BlobAddress[] }
  /** Admitted, but not queued: bytes of its blobs are missing. */
  | { kind: 'missing'; jobsAhead: number; turn: number }

export interface Chain<Result> {
  steps: Step[]
  /** Throws what the job is refused with. */
  read(replies: readonly unknown[]): Result
}

/** What is stored of a job. */
export interface StoredJob {
  /** As it goes through the queue. */
  queued: QueuedJob
  /** The same as JSON. */
  json: string
  /** The steps that enter it in its owner's list. */
  listed: Step[]
  forMs: number
}

/**
 * From the holds on its blobs to its place in the queue, for a job that is admitted. In this order: when a consumer has
 * it, its blobs and its record are there; and whoever finds its record finds it in its owner's list, which passes over
 * ids that came to nothing.
 */
export function queueingChain(
  { queued, json, listed, forMs }: StoredJob,
  turn: number | 'carried',
): Chain<{ done: boolean; shared: BlobAddress[] }> {
  const addresses = addressesOf(queued)
  const steps = [
    ...addresses.map((address) => needStep(address, queued.id, forMs)),
    ...listed,
    recordStep(jobKey(queued.id), json, forMs),
    queueStep(queued, turn, json),
  ]
  return {
    steps,
    read(replies) {
      const shared = addresses.filter((_, index) => readNeeded(replies[index]).holders > 1)
      return { done: replies.length === steps.length, shared }
    },
  }
}

export interface SubmissionOptions {
  admit: Partial<AdmitOptions>
  /** Those of the job's part. */
  limits: AdmissionLimits
  /** How long the owner's quota has a place for it until it is admitted. */
  placeMs: number
  /** By Redis' clock: after it nothing is done. */
  byMs: number
}

/** A submission from its first step to its last. */
export function submissionChain(stored: StoredJob, options: SubmissionOptions): Chain<Progress> {
  const { admit, limits, placeMs, byMs } = options
  const quota = quotaOf(stored.queued, admit.quota, { placeMs, keepMs: limits.payloadTtlMs })
  const admission = admissionOf(stored.queued, limits, admit)
  const queueing = queueingChain(stored, 'carried')
  const admitting = quota === null ? [admission.step] : [quota.take, admission.step, quota.confirm]
  return {
    steps: [byStep(admitting[0] ?? admission.step, byMs), ...admitting, ...queueing.steps],
    read([inTime, ...replies]) {
      if (inTime !== 1) return { kind: 'late' }
      quota?.read(replies[0])
      const admittance = admission.read(replies[quota === null ? 0 : 1])
      if (admittance.kind === 'answered') return admittance
      const { jobsAhead, turn } = admittance
      const { done, shared } = queueing.read(replies.slice(admitting.length))
      return done ? { kind: 'queued', jobsAhead, shared } : { kind: 'missing', jobsAhead, turn }
    },
  }
}
