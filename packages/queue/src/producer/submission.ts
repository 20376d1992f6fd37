import { type FinalJob, VisionQueueError } from '@vision-queue/protocol'
import { isReplyError, type RedisClient } from '@vision-queue/redis'
import type { Retention } from '@vision-queue/process'

import { type CachedAnswer, reusedAnswer } from '../cached-answer.ts'
import type { JobBlobs } from '../job-blobs.ts'
import { unfinishedJob } from '../job-forms.ts'
import type { JobQueues } from '../job-queues.ts'
import { jobKey } from '../keys.ts'
import { type BlobPart, blobsOf, type Part } from '../parts.ts'
import type { QueuedJob } from '../queued-job.ts'
import type { RedisClock } from '../redis-clock.ts'
import type { ResultStore } from '../worker/result-store.ts'
import type { Admission, AdmissionLimits, AdmitOptions, Admittance } from './admission.ts'
import type { Accepted, BlobBytes, JobClient } from './job-client.ts'
import type { JobIndex } from './job-index.ts'
import type { KnownAnswers } from './known-answers.ts'
import type { OwnerQuotas } from './owner-quota.ts'

interface Options {
  redis: RedisClient
  retention: Retention
  results: ResultStore
  queues: JobQueues
  clock: RedisClock
  admission: Admission
  quotas: OwnerQuotas
  jobBlobs: JobBlobs
  index: JobIndex
  known: KnownAnswers
  limits: AdmissionLimits
  /** How long a place of the owner's quota is held until the job is admitted. */
  placeMs: number
}

/**
 * How a job gets into Redis, or is answered at once:
 *
 *   known answer in memory -> done
 *   quota taken, blobs held, admission asked -> known answer in Redis: done | refused: all is given back
 *   missing bytes put, record written, job queued, index extended -> accepted
 */
export function createSubmission(options: Options): Pick<JobClient, 'submit'> {
  return {
    // The key of a job that is run again is not that of its retry.
    async submit({ idempotencyKeyHash: _old, ...job }, blobs, { claim = null, ...admit } = {}) {
      if (claim === null) return enqueue(options, job, blobs, admit)
      await claim.send()
      const accepted = await enqueue(options, { ...job, idempotencyKeyHash: claim.keyHash }, blobs, admit)
      await claim.accept(accepted.job)
      return accepted
    },
  }
}

async function enqueue(
  options: Options,
  job: QueuedJob,
  given: BlobBytes,
  admit: Partial<AdmitOptions>,
): Promise<Accepted> {
  const { known, jobBlobs, quotas } = options
  const { digest = null } = admit
  const remembered = digest === null ? null : known.get(digest)
  if (remembered !== null) {
    // What came without its bytes is an upload, which is held for the job already.
    if (blobsOf(job).some(({ hash }) => !given.has(hash))) await jobBlobs.release(job)
    return { job: await answered(options, job, remembered), queuePosition: null, answeredFrom: 'memory' }
  }
  /** Of a job that isn't admitted, or isn't to be. */
  const giveBack = async (): Promise<void> => {
    await Promise.all([admit.quota ? quotas.release(job) : null, jobBlobs.release(job)])
  }
  const { admittance, missing } = await askForRoom(options, job, admit).catch(async (error: unknown) => {
    // Refused, it holds nothing; if Redis went away it may be in, and what it holds lapses in time.
    if (error instanceof VisionQueueError || isReplyError(error)) await giveBack()
    throw error
  })
  if (admittance.kind === 'answered') {
    if (digest !== null) known.add(digest, admittance.answer)
    const [final] = await Promise.all([answered(options, job, admittance.answer), giveBack()])
    return { job: final, queuePosition: null, answeredFrom: 'redis' }
  }
  if (missing.status === 'rejected') {
    if (isReplyError(missing.reason)) await undo(options, job)
    throw missing.reason
  }
  const bytes = await bytesFor(options, job, { missing: missing.value, given }).catch(async (error: unknown) => {
    await undo(options, job)
    throw error
  })
  await store(options, { ...job, parts: job.parts.map(withoutOld) }, { bytes, admit, turn: admittance.turn })
  return { job: unfinishedJob(job, null, 0), queuePosition: admittance.jobsAhead, answeredFrom: null }
}

/** Rejects with why there is none; with `missing` it is told which bytes Redis does not have. */
async function askForRoom(
  { quotas, jobBlobs, admission, limits, placeMs }: Options,
  job: QueuedJob,
  admit: Partial<AdmitOptions>,
): Promise<{ admittance: Admittance; missing: PromiseSettledResult<Set<string>> }> {
  if (admit.quota) await quotas.take(job, admit.quota, placeMs)
  // Sent together. Its blobs are held whether or not there is room for the job, so that they can't lapse meanwhile.
  const [missing, admitted] = await Promise.allSettled([
    jobBlobs.hold(job, limits.payloadTtlMs),
    admission.admit(job, limits, admit),
  ])
  if (admitted.status === 'rejected') throw admitted.reason
  return { admittance: admitted.value, missing }
}

/** Stores an admitted job in this order: when a consumer has it, its blobs and its record are there. */
async function store(
  options: Options,
  job: QueuedJob,
  { bytes, admit, turn }: { bytes: BlobBytes; admit: Partial<AdmitOptions>; turn: number },
): Promise<void> {
  const { redis, clock, quotas, jobBlobs, queues, index, limits } = options
  const queued = clock.jobToRedis(job)
  const before = [
    admit.quota ? quotas.confirm(job, admit.quota, limits.payloadTtlMs) : Promise.resolve(),
    ...[...bytes].map(async ([hash, blob]) => jobBlobs.put(job, hash, blob, limits.payloadTtlMs)),
  ]
  // Without them nothing is queued: the job might be taken, or end, before they come.
  const apart = redis.isCluster || !jobBlobs.inOrder
  if (apart) await allOrNothing(options, job, before)
  const recorded = redis.set(jobKey(job.id), JSON.stringify(queued), 'PX', limits.payloadTtlMs)
  // Before the job is queued, so that none runs that is in no list: a list passes over ids that came to nothing.
  const listed = index.add(job)
  if (apart) await Promise.allSettled([recorded, listed])
  await allOrNothing(options, job, [...before, recorded, listed, queues.add(queued, turn)])
}

async function answered(
  { results, index, retention }: Options,
  job: QueuedJob,
  answer: CachedAnswer,
): Promise<FinalJob> {
  const final = reusedAnswer(job, answer, { attempts: 0, resultTtlMs: retention.resultTtlMs })
  const [kept] = await Promise.all([results.keep(final), index.add(job)])
  return kept
}

/** Leaves nothing of a job that was admitted and could not be queued; if that fails, its admission lapses. */
async function undo({ queues, admission, jobBlobs, redis, quotas }: Options, job: QueuedJob): Promise<void> {
  await Promise.allSettled([
    queues.remove(job),
    admission.release(job),
    jobBlobs.release(job),
    redis.unlink(jobKey(job.id)),
    quotas.release(job),
  ])
}

/** Resolves when all of it is done. If Redis has refused, nothing of the job is left; if it didn't answer, the job may be queued. */
async function allOrNothing(options: Options, job: QueuedJob, work: readonly Promise<unknown>[]): Promise<void> {
  const sent = await Promise.allSettled(work)
  const failures = sent.flatMap((outcome): unknown[] => (outcome.status === 'rejected' ? [outcome.reason] : []))
  // As Redis does when its memory is full.
  if (failures.length > 0 && failures.every((error) => isReplyError(error))) await undo(options, job)
  if (failures.length > 0) throw failures[0]
}

/** The bytes to be stored with the job; rejects if some are neither stored nor given. */
async function bytesFor(
  { jobBlobs }: Options,
  job: QueuedJob,
  { missing, given }: { missing: ReadonlySet<string>; given: BlobBytes },
): Promise<BlobBytes> {
  const bytes = new Map<string, Uint8Array>()
  for (const part of blobsOf(job).filter(({ hash }) => missing.has(hash))) {
    const blob = given.get(part.hash) ?? (await jobBlobs.readOld(job, part))
    if (blob === null) throw blobGone(job)
    bytes.set(part.hash, blob)
  }
  return bytes
}

/** The bytes are where jobs of shape 2 have them from now on. */
function withoutOld(part: Part): Part {
  if (part.kind !== 'blob') return part
  const { old: _old, ...blob }: BlobPart = part
  return blob
}

function blobGone({ retryOf }: QueuedJob): VisionQueueError {
  return retryOf === null
    ? new VisionQueueError('image_not_found', 'The image has expired. Upload it again.')
    : new VisionQueueError('job_not_retryable', 'The image of the job is not kept any more.')
}
