import { type BlobValues, putCommand, releaseStep } from '@vision-queue/blobs'
import type { Turns } from '@vision-queue/bullmq-batching'
import { type FinalJob, VisionQueueError } from '@vision-queue/protocol'
import { isReplyError } from '@vision-queue/redis'
import type { Retention } from '@vision-queue/process'

import { type CachedAnswer, reusedAnswer } from '../cached-answer.ts'
import { addressesOf, type JobBlobs } from '../job-blobs.ts'
import { unfinishedJob } from '../job-forms.ts'
import type { JobQueues } from '../job-queues.ts'
import { jobKey } from '../keys.ts'
import { type BlobPart, blobsOf, type Part } from '../parts.ts'
import { partsInOrder, shareOf } from '../queue-places.ts'
import type { QueuedJob } from '../queued-job.ts'
import { unlinkStep } from '../record-steps.ts'
import type { RedisClock } from '../redis-clock.ts'
import type { ResultStore } from '../worker/result-store.ts'
import type { AdmissionLimits, AdmitOptions } from './admission.ts'
import { dischargeStep } from './admission-steps.ts'
import { inFirstWithRoom } from './first-with-room.ts'
import type { Accepted, BlobBytes, JobClient } from './job-client.ts'
import type { JobIndex } from './job-index.ts'
import type { KnownAnswers } from './known-answers.ts'
import type { LatelySeen } from './lately-seen.ts'
import { placeBackStep } from './owner-quota.ts'
import { type Chain, type Progress, queueingChain, type StoredJob, submissionChain } from './submission-chain.ts'

interface Options {
  turns: Turns
  retention: Retention
  results: ResultStore
  queues: Pick<JobQueues, 'remove'>
  clock: RedisClock
  jobBlobs: JobBlobs
  /** What Redis holds of a blob. */
  values: BlobValues
  index: JobIndex
  known: KnownAnswers
  seen: LatelySeen
  limits: AdmissionLimits
  /** How long a place of the owner's quota, and bytes that nobody holds, are kept until the job is admitted. */
  placeMs: number
  /** How long the caller waits for Redis. A submission that Redis comes to later is not carried out. */
  patienceMs: number
}

/** A job on its way into one part of its model's queue. */
interface Entering {
  job: QueuedJob
  stored: StoredJob
  given: BlobBytes
  admit: Partial<AdmitOptions>
  /** The part's share. */
  limits: AdmissionLimits
}

/**
 * How a job gets into Redis, or is answered at once:
 *
 *   known answer in memory -> done
 *   one chain: quota taken, admission asked, blobs held, list extended, record written, job queued -> accepted
 *     which ends early: known answer in Redis -> done | refused -> what it took is given back
 *                       | bytes missing -> they are put, and the chain goes on from there
 *
 * Where the model's queue has several parts, a full one sends the job on to the next.
 *
 * Bytes travel in front of the chain, so that it finds them; not those that others were seen to hold, none to a model
 * that is full at the moment, and none that are to become objects outside of Redis: those are put once the job is admitted.
 */
export function createSubmission(options: Options): Pick<JobClient, 'submit'> {
  return {
    // The key and the part of a job that is run again are not those of its retry.
    async submit(given, blobs, submitted = {}) {
      const job = isFresh(given) ? given : withoutEarlierPlace(given)
      const { claim = null } = submitted
      if (claim === null) return enter(options, job, blobs, submitted)
      await claim.send()
      const accepted = await enter(options, { ...job, idempotencyKeyHash: claim.keyHash }, blobs, submitted)
      await claim.accept(accepted.job)
      return accepted
    },
  }
}

function isFresh({ idempotencyKeyHash, part }: QueuedJob): boolean {
  return idempotencyKeyHash === undefined && part === undefined
}

function withoutEarlierPlace({ idempotencyKeyHash: _key, part: _part, ...job }: QueuedJob): QueuedJob {
  return job
}

async function enter(
  options: Options,
  job: QueuedJob,
  given: BlobBytes,
  admit: Partial<AdmitOptions>,
): Promise<Accepted> {
  const { known, jobBlobs, seen } = options
  const { digest = null, parts = 1 } = admit
  const remembered = digest === null ? null : known.get(digest)
  if (remembered !== null) {
    if (isHeldAlready(job, given)) await jobBlobs.release(job)
    return { job: await answered(options, job, remembered), queuePosition: null, answeredFrom: 'memory' }
  }
  const sent = seen.isRefusing(job.model) ? noBytes : unlikelyThere(options, job, given)
  const took = { quota: Boolean(admit.quota), blobs: sent.size > 0 || isHeldAlready(job, given) }
  // What went in front of the first try is there for the next.
  let unsent = sent
  const { entering, progress } = await inFirstWithRoom(partsInOrder(digest ?? job.id, parts), async (part) => {
    const entered = enteringPart(options, job, { given, admit, part, parts })
    const bytes = unsent
    unsent = noBytes
    return { entering: entered, progress: await admitAndQueue(options, entered, bytes) }
  }).catch(async (error: unknown) => {
    if (error instanceof VisionQueueError) await giveBack(options, job, took)
    if (error instanceof VisionQueueError && error.code === 'queue_full') seen.noteRefusal(job.model)
    throw error
  })
  if (progress.kind === 'answered') {
    if (digest !== null) known.add(digest, progress.answer)
    const [final] = await Promise.all([answered(options, job, progress.answer), giveBack(options, job, took)])
    return { job: final, queuePosition: null, answeredFrom: 'redis' }
  }
  if (progress.kind === 'missing') await putAndQueue(options, entering, progress.turn)
  else for (const address of progress.shared) seen.noteHeld(address)
  // Of the jobs in other parts about as many come before it as in its own.
  return { job: unfinishedJob(job, null, 0), queuePosition: progress.jobsAhead * parts, answeredFrom: null }
}

/** What the part is asked: it has its share of the bounds, and of what the consumers do. */
function enteringPart(
  { clock, index, limits }: Options,
  whole: QueuedJob,
  { given, admit, part, parts }: { given: BlobBytes; admit: Partial<AdmitOptions>; part: number; parts: number },
): Entering {
  const job = part === 0 ? whole : { ...whole, part }
  const queued = clock.jobToRedis(withoutOld(job))
  const stored = { queued, json: JSON.stringify(queued), listed: index.steps(job), forMs: limits.payloadTtlMs }
  if (parts === 1) return { job, stored, given, admit, limits }
  const { pace = null } = admit
  return {
    job,
    stored,
    given,
    admit: { ...admit, pace: pace === null ? null : { ...pace, jobsPerSecond: pace.jobsPerSecond / parts } },
    limits: {
      ...limits,
      maxJobs: shareOf(limits.maxJobs, part, parts),
      maxBytes: shareOf(limits.maxBytes, part, parts),
    },
  }
}

/** Submits once; without a time where that was over for Redis but not here, as its clock was set. */
async function admitAndQueue(
  options: Options,
  entering: Entering,
  bytes: BlobBytes,
): Promise<Exclude<Progress, { kind: 'late' }>> {
  const { clock, patienceMs, placeMs } = options
  const { stored, admit, limits } = entering
  const soon = clock.toRedis(Date.now()) + patienceMs
  for (const byMs of [soon, Number.MAX_SAFE_INTEGER]) {
    const chain = submissionChain(stored, { admit, limits, placeMs, byMs })
    const progress = await carryOut(options, entering, chain, bytes)
    if (progress.kind !== 'late') return progress
  }
  throw new Error('Redis found a job too late that had no time')
}

/** Whether some of its blobs came without their bytes: an upload is held for the job already. */
function isHeldAlready(job: QueuedJob, given: BlobBytes): boolean {
  return blobsOf(job).some(({ hash }) => !given.has(hash))
}

const noBytes: BlobBytes = new Map()

/** The given bytes but those which others were seen to hold, and those that Redis would only point to. */
function unlikelyThere({ seen, values }: Options, job: QueuedJob, given: BlobBytes): BlobBytes {
  const held = new Set(addressesOf(job).flatMap((address) => (seen.isHeld(address) ? [address.hash] : [])))
  return new Map([...given].filter(([hash, bytes]) => !held.has(hash) && values.isInline(bytes.byteLength)))
}

/** Runs a chain with bytes in front of it. If Redis has refused, nothing of the job is left; if it didn't answer, the job may be queued. */
async function carryOut<Result>(
  options: Options,
  { job }: Entering,
  { steps, read }: Chain<Result>,
  bytes: BlobBytes,
): Promise<Result> {
  const before = await putCommands(options, job, bytes)
  const replies = await options.turns.run(steps, { before }).catch(async (error: unknown) => {
    // As Redis does when its memory is full.
    if (isReplyError(error)) await undo(options, job)
    throw error
  })
  return read(replies)
}

/** Those that put the blobs' values into Redis, once what these point to is stored. Where that fails nothing of the job is left. */
async function putCommands(
  options: Options,
  job: QueuedJob,
  bytes: BlobBytes,
): Promise<ReturnType<typeof putCommand>[]> {
  const { values, placeMs } = options
  const entries = [...bytes].map(([hash, blob]) => ({ address: { space: job.answersOf, hash }, blob }))
  // Without a turn of the event loop, which submissions share a call by.
  if (entries.every(({ blob }) => values.isInline(blob.byteLength))) {
    return entries.map(({ address, blob }) => putCommand(address, blob, placeMs))
  }
  try {
    return await Promise.all(
      entries.map(async ({ address, blob }) => putCommand(address, await values.toValue(address, blob), placeMs)),
    )
  } catch (error) {
    await undo(options, job)
    throw error
  }
}

/** Queues an admitted job whose bytes were missing; rejects if some are neither stored nor given. */
async function putAndQueue(options: Options, entering: Entering, turn: number): Promise<void> {
  const { job, stored, given } = entering
  for (const address of addressesOf(job)) options.seen.noteMissing(address)
  for (const readBytes of [async () => given, async () => withOld(options, entering)]) {
    const bytes = await readBytes()
    if (bytes.size === 0) continue
    const { done } = await carryOut(options, entering, queueingChain(stored, turn), bytes)
    if (done) return
  }
  await undo(options, job)
  throw blobGone(job)
}

/** The given bytes, and those that a job of shape 1 has elsewhere. */
async function withOld({ jobBlobs }: Options, { job, given }: Entering): Promise<BlobBytes> {
  const old = new Map<string, Uint8Array>()
  for (const part of blobsOf(job)) {
    const bytes = given.has(part.hash) ? null : await jobBlobs.readOld(job, part)
    if (bytes !== null) old.set(part.hash, bytes)
  }
  return old.size === 0 ? noBytes : new Map([...given, ...old])
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

/** What a job that isn't admitted, or isn't to be, has taken and sent. */
async function giveBack({ turns }: Options, job: QueuedJob, took: { quota: boolean; blobs: boolean }): Promise<void> {
  const place = took.quota ? placeBackStep(job) : null
  const holds = took.blobs ? addressesOf(job).map((address) => releaseStep(address, job.id)) : []
  const steps = [...(place === null ? [] : [place]), ...holds]
  if (steps.length > 0) await turns.run(steps, { whenFull: true })
}

/** Leaves nothing of a job that could not be queued; if that fails, its admission lapses. */
async function undo({ queues, turns }: Options, job: QueuedJob): Promise<void> {
  const place = placeBackStep(job)
  const steps = [
    dischargeStep(job),
    ...addressesOf(job).map((address) => releaseStep(address, job.id)),
    unlinkStep(jobKey(job.id)),
    ...(place === null ? [] : [place]),
  ]
  await Promise.allSettled([queues.remove(job), turns.run(steps, { whenFull: true })])
}

/** The bytes are where jobs of shape 2 have them from now on. */
function withoutOld(job: QueuedJob): QueuedJob {
  if (blobsOf(job).every(({ old }) => old === undefined)) return job
  const parts = job.parts.map((part): Part => {
    if (part.kind !== 'blob') return part
    const { old: _old, ...blob }: BlobPart = part
    return blob
  })
  return { ...job, parts }
}

function blobGone({ retryOf }: QueuedJob): VisionQueueError {
  return retryOf === null
    ? new VisionQueueError('image_not_found', 'The image has expired. Upload it again.')
    : new VisionQueueError('job_not_retryable', 'The image of the job is not kept any more.')
}
