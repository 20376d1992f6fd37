import { createHash } from 'node:crypto'

import { type Job, VisionQueueError } from '@vision-queue/protocol'
import { type IdempotencyClaim, type JobClient, newJobId } from '@vision-queue/queue/producer'
import { jsonDigest } from '@vision-queue/queue'

import type { JsonValue, Submission, SubmittedImage } from './submission.ts'

/** What is sent with a submission: its key, or null. */
export interface IdempotencyOptions {
  key: string | null
  owner: string | null
  /** All that makes the job; the same key with other `asks` is a conflict. */
  asks: JsonValue
  /** How long the request may take until it submits, in milliseconds. */
  leaseMs: number
}

/** What came of a submission, or the job of an earlier one with the same key. */
export type Once<T> = { kind: 'submitted'; value: T } | { kind: 'replayed'; job: Job }

/**
 * Calls `submit` once for each Idempotency-Key, with the id that the job is to have; if there is no key, just calls it.
 * `claim` goes to the job client with the job. A submission that is refused leaves the key free for another try.
 */
export async function submitOnce<T>(
  jobs: Pick<JobClient, 'claim'>,
  { key, owner, asks, leaseMs }: IdempotencyOptions,
  submit: (id: string, claim: IdempotencyClaim | null) => Promise<T>,
): Promise<Once<T>> {
  if (key === null) return { kind: 'submitted', value: await submit(newJobId(), null) }
  const claimed = await jobs.claim({ owner, key, digest: jsonDigest(asks), leaseMs })
  if (claimed.kind === 'known') return { kind: 'replayed', job: claimed.job }
  const { claim } = claimed
  try {
    return { kind: 'submitted', value: await submit(claim.id, claim) }
  } catch (error) {
    await claim.release(error)
    throw error
  }
}

/** The key in a request's header; null if there is none. Throws `invalid_request` for one that can be no key. */
export function parseIdempotencyKey(header: string | undefined): string | null {
  if (header === undefined) return null
  if (/^[\x21-\x7e]{1,255}$/.test(header)) return header
  throw new VisionQueueError(
    'invalid_request',
    'An Idempotency-Key is 1 to 255 visible ASCII characters, without spaces.',
  )
}

/**
 * All that makes the job of a submission, whichever form of body it came in. Of a form's boundary nothing is left, nor
 * of names in the address' query that mean nothing to us.
 */
export function asksOf(submission: Submission): JsonValue {
  if (submission.kind === 'retry') return { kind: 'retry', of: submission.jobId }
  const { images, strayNames: _stray, ...rest } = submission.question
  return { kind: 'submission', images: images.map(imageOf), ...rest }
}

function imageOf(image: SubmittedImage): JsonValue {
  switch (image.kind) {
    case 'bytes':
      return { bytes: createHash('sha256').update(image.bytes).digest('base64url') }
    case 'upload':
      return { upload: image.hash }
    case 'address':
      return { address: image.address }
    case 'kept':
      return { bytes: image.blob.hash }
    default:
      return image satisfies never
  }
}
