import { type BlobAddress, holdStep } from '@vision-queue/blobs'
import type { Step } from '@vision-queue/bullmq-batching'

import type { CachedAnswer } from '../cached-answer.ts'
import { addressesOf } from '../job-blobs.ts'
import { queueStep } from '../job-queues.ts'
import { jobKey } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'
import { recordStep } from '../record-steps.ts'
import { type AdmissionLimits, admissionOf, type AdmitOptions } from './admission.ts'
import { quotaOf } from './owner-quota.ts'

/** How far a chain has brought a job. */
export type Progress =
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
  /** The steps that enter it in its owner's list. */
  listed: Step[]
  forMs: number
}

/**
 * From the holds on its blobs to its place in the queue, for a job that is admitted. In this order: when a consumer has
 * it, its blobs and its record are there, and it is in its owner's list (a list passes over ids that came to nothing).
 */
export function queueingChain(
  { queued, listed, forMs }: StoredJob,
  turn: number | 'carried',
): Chain<{ done: boolean; shared: BlobAddress[] }> {
  const addresses = addressesOf(queued)
  const steps = [
    ...addresses.map((address) => holdStep(address, queued.id, forMs, { must: true })),
    recordStep(jobKey(queued.id), JSON.stringify(queued), forMs),
    ...listed,
    queueStep(queued, turn),
  ]
  return {
    steps,
    read(replies) {
      const shared = addresses.filter((_, index) => holdersIn(replies[index]) > 1)
      return { done: replies.length === steps.length, shared }
    },
  }
}

/** A submission from its first step to its last. `placeMs`: how long the owner's quota has a place for it until it is admitted. */
export function submissionChain(
  stored: StoredJob,
  { admit, limits, placeMs }: { admit: Partial<AdmitOptions>; limits: AdmissionLimits; placeMs: number },
): Chain<Progress> {
  const quota = quotaOf(stored.queued, admit.quota, { placeMs, keepMs: limits.payloadTtlMs })
  const admission = admissionOf(stored.queued, limits, admit)
  const queueing = queueingChain(stored, 'carried')
  return {
    steps: [
      ...(quota === null ? [] : [quota.take]),
      admission.step,
      ...(quota === null ? [] : [quota.confirm]),
      ...queueing.steps,
    ],
    read(replies) {
      const [first, ...others] = replies
      quota?.read(first)
      const admittance = admission.read(quota === null ? first : others[0])
      if (admittance.kind === 'answered') return admittance
      const { jobsAhead, turn } = admittance
      const { done, shared } = queueing.read(quota === null ? others : others.slice(2))
      return done ? { kind: 'queued', jobsAhead, shared } : { kind: 'missing', jobsAhead, turn }
    },
  }
}

/** How many hold a blob, by the reply of its hold. */
function holdersIn(reply: unknown): number {
  const holders: unknown = Array.isArray(reply) ? reply[3] : 0
  return typeof holders === 'number' ? holders : 0
}
