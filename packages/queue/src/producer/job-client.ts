import { type CachedAnswer, reusedAnswer } from '../cached-answer.ts'
import { type FinalJob, isFinal, type Job, VisionQueueError } from '@vision-queue/protocol'
import { jobKey, replyChannel } from '../keys.ts'
import { createJobBlobs } from '../job-blobs.ts'
import { type BlobPart, blobsOf, type Part } from '../parts.ts'
import { queuedJobSchema, type QueuedJob } from '../queued-job.ts'
import type { Retention } from '@vision-queue/process'
import { unfinishedJob } from '../job-forms.ts'
import { isReplyError } from '@vision-queue/redis'
import { createRedisBlobs } from '@vision-queue/blobs'
import { nanoid } from 'nanoid'

import { type AdmissionLimits, type AdmitOptions, createAdmission } from './admission.ts'
import { createIdempotencyKeys, type IdempotencyClaim, type IdempotencyKeys } from './idempotency-keys.ts'
import { createJobControl, createJobEnder, type JobControl, type MayRead } from './job-control.ts'
import { createJobIndex, type JobPage, type ListOptions } from './job-index.ts'
import { createJobQueues } from '../job-queues.ts'
import { expiredJob, failedJob } from '../unfinished-ends.ts'
import { createJobWatcher, type JobWatch } from './job-watcher.ts'
import { createKnownAnswers } from './known-answers.ts'
import { createOwnerQuotas } from './owner-quota.ts'
import { openOrphanSweep } from './orphan-sweep.ts'
import { openRedisClock } from '../redis-clock.ts'
import {
  guarded as guardedBy,
  openFailFastConnection,
  openSubscriber,
  readEvictionPolicy,
  type TransportLog,
} from '@vision-queue/redis'
import { createResultStore } from '../worker/result-store.ts'
import { assertLoaded, probeWrite } from './write-probe.ts'

/** Bytes by their SHA-256. */
export type BlobBytes = ReadonlyMap<string, Uint8Array>

/** A job that was accepted. */
export interface Accepted {
  /** As it is: `queued` or, where an earlier answer serves, final. */
  job: Job
  /** How many unfinished jobs of the same model were accepted before it; null: it needs no turn. */
  queuePosition: number | null
  /** Where its answer came from without being computed. */
  answeredFrom: 'memory' | 'redis' | null
}

export interface SubmitOptions extends AdmitOptions {
  /** Of the Idempotency-Key; null, the default: there is none. */
  claim: IdempotencyClaim | null
}

/** What the API needs of the queue. Every call rejects with `queue_unavailable` while Redis can't be reached. */
export interface JobClient extends JobControl, IdempotencyKeys {
  /** An owner's jobs, newest first. */
  list(options: ListOptions): Promise<JobPage>
  /**
   * Stores the image under its hash, checks the bound and queues the job, in that order of effect:
   * when this resolves the job is in Redis and will reach a final state. Where the answer is known already
   * (`digest`), the job is final at once and takes no place. `blobs` has the bytes of its blobs by their hash; those
   * that are stored already may be left out. Rejects with `queue_full` over `maxJobs` or `maxBytes`, with
   * `quota_exceeded` over the owner's and with `deadline_unmeetable`, all with `retryAfterMs`.
   */
  submit(job: QueuedJob, blobs: BlobBytes, options?: Partial<SubmitOptions>): Promise<Accepted>
  /**
   * Submits and waits until the job is final, `timeoutMs` have passed or `signal` fires. Rejects only where
   * `submit` would: once the job is accepted, it is given as it was last known. Cheaper than `submit` and
   * `waitFor`: the consumer answers this process directly, and nothing is read or subscribed to for the job.
   */
  submitAndWait(
    job: QueuedJob,
    blobs: BlobBytes,
    options: Partial<SubmitOptions> & { timeoutMs: number; signal?: AbortSignal },
  ): Promise<Accepted>
  /** The job as it is now, or null when no such job is known (or its result has expired) or `mayRead` denies it. */
  read(id: string, mayRead?: MayRead): Promise<Job | null>
  /**
   * Calls `listener` with the job as it is, then after each change, until closed. Subscribes before
   * it reads, so no change falls between; reads again after a reconnect. Resolves to null when no such job is known.
   * `onText` gets the whole text so far of an answer that is being generated, each time it has grown. A job that
   * `mayRead` denies is as one that isn't known.
   */
  watch(
    id: string,
    listener: (job: Job) => void,
    onText?: (text: string) => void,
    mayRead?: MayRead,
  ): Promise<JobWatch | null>
  /** The job once it is final, or as it is after `timeoutMs` or when `signal` fires; null when no such job is known. */
  waitFor(id: string, timeoutMs: number, signal?: AbortSignal, mayRead?: MayRead): Promise<Job | null>
  /** Resolves when Redis answers; rejects with `queue_unavailable` within the command timeout. */
  ping(): Promise<void>
  /** Resolves when Redis takes writes for these models; see probeWrite. Rejects with `queue_unavailable`, which says why not. */
  probeWrite(models: readonly string[]): Promise<void>
  /** Under which Redis drops keys when its memory is full, which loses accepted jobs (maxmemory-policy); null: none. */
  evictionPolicy(): Promise<string | null>
  /** Unfinished jobs admitted for the model, and their payload bytes. */
  depth(model: string): Promise<{ jobs: number; bytes: number }>
  /** Ends all watches and connections; waits for none of them. */
  close(): Promise<void>
}

export interface JobClientOptions extends AdmissionLimits {
  redisUrl: string
  /** As the consumers' settings are: the API ends jobs, too. */
  retention: Retention
  /** How many jobs of one owner are listed; 0: none are. */
  listLength: number
  /** Memory for answers that this process has met; 0: none. */
  answerMemoryBytes: number
  /** How long Redis may take to answer one command before the caller gets `queue_unavailable`. */
  commandTimeoutMs: number
  /** How often submissions that broke off half-way are looked for. */
  orphanCheckMs: number
  log: TransportLog
}

export function openJobClient(options: JobClientOptions): JobClient {
  const redis = openFailFastConnection({ ...options, name: 'api' })
  const guarded = <T>(work: Promise<T>): Promise<T> => guardedBy(work, redis)
  const subscriber = openSubscriber({ ...options, name: 'api-subscriber' })
  const admission = createAdmission(redis)
  const quotas = createOwnerQuotas(redis)
  const stored = createRedisBlobs(redis)
  const jobBlobs = createJobBlobs(redis, stored)
  const queues = createJobQueues(redis)
  const clock = openRedisClock(redis)
  const { retention } = options
  const results = createResultStore({ redis, retention, answerTtlMs: 0 })
  const controlled = { redis, queues, results, retention, clock }
  const ender = createJobEnder(controlled)
  const control = createJobControl(controlled, ender)
  const keepMs = options.payloadTtlMs + Math.max(retention.resultTtlMs, retention.failedResultTtlMs)
  const index = createJobIndex({
    redis,
    listLength: options.listLength,
    keepMs,
  })
  const orphans = openOrphanSweep({
    redis,
    admission,
    queues,
    quotas,
    blobs: stored,
    everyMs: options.orphanCheckMs,
    log: options.log,
  })
  /** How long a place of the owner's quota is held until the job is admitted: for a few commands. */
  const placeMs = 1000 + 4 * options.commandTimeoutMs
  const known = createKnownAnswers(options.answerMemoryBytes)
  /** What consumers call this process by. */
  const process = nanoid()

  const read = async (id: string, mayRead: MayRead = () => true): Promise<Job | null> => {
    // The record goes when the result comes, so it is asked for first: one of the two is there.
    const [record, final] = await Promise.all([redis.get(jobKey(id)), results.read(id)])
    // Two nodes of a Cluster may have been asked in the other order.
    const ended = final ?? (record === null && redis.isCluster ? await results.read(id) : null)
    if (ended !== null) return mayRead(ended) ? ended : null
    if (record === null) return null
    const job = clock.jobToLocal(queuedJobSchema.parse(JSON.parse(record)))
    // Before anything more is asked about it, which would tell by the time it takes that there is such a job.
    if (!mayRead(job)) return null
    const place = await queues.find(job)
    if (place?.state === 'waiting' && job.deadlineAt !== null && job.deadlineAt <= Date.now()) {
      return ender.end(job, expiredJob(job, place.attempts, retention.failedResultTtlMs))
    }
    // Neither waiting nor running: finished since the first look, or its submission broke off half-way.
    if (place === null) return (await results.read(id)) ?? unfinishedJob(job, null, 0)
    if (place.state !== 'failed') {
      return unfinishedJob(job, place.state === 'active' ? place.startedAt : null, place.attempts)
    }
    await results.finish(job, failedJob(job, place.attempts, retention.failedResultTtlMs))
    return results.read(id)
  }
  // A submission is some commands, each of which may take its time.
  const idempotency = createIdempotencyKeys({ redis, read, sendMs: 1000 + 6 * options.commandTimeoutMs, keepMs })
  const watcher = createJobWatcher({ subscriber, replies: replyChannel(process), read, log: options.log })

  const answered = async (job: QueuedJob, answer: CachedAnswer): Promise<FinalJob> => {
    const final = reusedAnswer(job, answer, { attempts: 0, resultTtlMs: retention.resultTtlMs })
    const [kept] = await Promise.all([results.keep(final), index.add(job)])
    return kept
  }

  /** Leaves nothing of a job that was admitted and could not be queued; where that fails, its admission lapses. */
  const undo = async (job: QueuedJob): Promise<void> => {
    await Promise.allSettled([
      queues.remove(job),
      admission.release(job),
      jobBlobs.release(job),
      redis.unlink(jobKey(job.id)),
      quotas.release(job),
    ])
  }

  /** Resolves when all of it is done. Where Redis has refused, nothing of the job is left; where it didn't answer, the job may be queued. */
  const allOrNothing = async (job: QueuedJob, work: readonly Promise<unknown>[]): Promise<void> => {
    const sent = await Promise.allSettled(work)
    const failures = sent.flatMap((its): unknown[] => (its.status === 'rejected' ? [its.reason] : []))
    // As Redis does when its memory is full.
    if (failures.length > 0 && failures.every((error) => isReplyError(error))) await undo(job)
    if (failures.length > 0) throw failures[0]
  }

  /** The bytes to be stored with the job; rejects where they are neither stored nor given. */
  const bytesFor = async (job: QueuedJob, missing: ReadonlySet<string>, given: BlobBytes): Promise<BlobBytes> => {
    const bytes = new Map<string, Uint8Array>()
    for (const part of blobsOf(job).filter(({ hash }) => missing.has(hash))) {
      const its = given.get(part.hash) ?? (await jobBlobs.readOld(job, part))
      if (its === null) throw blobGone(job)
      bytes.set(part.hash, its)
    }
    return bytes
  }

  const enqueue: JobClient['submit'] = async (asked, given, admit = {}) => {
    const { digest = null } = admit
    const remembered = digest === null ? null : known.get(digest)
    if (remembered !== null) {
      // A blob whose bytes didn't come may be held for the job already.
      if (blobsOf(asked).some(({ hash }) => !given.has(hash))) await jobBlobs.release(asked)
      return { job: await answered(asked, remembered), queuePosition: null, answeredFrom: 'memory' }
    }
    /** Of a job that isn't admitted, or isn't to be. */
    const giveBack = async (): Promise<void> => {
      await Promise.all([admit.quota ? quotas.release(asked) : null, jobBlobs.release(asked)])
    }
    const refuse = async (error: unknown): Promise<never> => {
      // Refused, it holds nothing; where Redis went away it may be in, and what it holds lapses in time.
      if (error instanceof VisionQueueError || isReplyError(error)) await giveBack()
      throw error
    }
    if (admit.quota) await quotas.take(asked, admit.quota, placeMs).catch(refuse)
    // Sent together. Its blobs are held whether or not there is room for the job, so that they can't lapse meanwhile.
    const [held, admitted] = await Promise.allSettled([
      jobBlobs.hold(asked, options.payloadTtlMs),
      admission.admit(asked, options, admit),
    ])
    if (admitted.status === 'rejected') return refuse(admitted.reason)
    const admittance = admitted.value
    if (admittance.kind === 'answered') {
      if (digest !== null) known.add(digest, admittance.answer)
      const [job] = await Promise.all([answered(asked, admittance.answer), giveBack()])
      return { job, queuePosition: null, answeredFrom: 'redis' }
    }
    if (held.status === 'rejected') {
      if (isReplyError(held.reason)) await undo(asked)
      throw held.reason
    }
    const bytes = await bytesFor(asked, held.value, given).catch(async (error: unknown) => {
      await undo(asked)
      throw error
    })
    const job = { ...asked, parts: asked.parts.map(withoutOld) }
    const queued = clock.jobToRedis(job)
    // Sent in this order: when a consumer has the job, its blobs and its record are there.
    const before = [
      admit.quota ? quotas.confirm(job, admit.quota, options.payloadTtlMs) : Promise.resolve(),
      ...[...bytes].map(async ([hash, its]) => jobBlobs.put(job, hash, its, options.payloadTtlMs)),
    ]
    // Without them nothing is queued: the job might be taken, or end, before they come.
    const apart = redis.isCluster || !jobBlobs.inOrder
    if (apart) await allOrNothing(job, before)
    const recorded = redis.set(jobKey(job.id), JSON.stringify(queued), 'PX', options.payloadTtlMs)
    if (apart) await Promise.allSettled([recorded])
    await allOrNothing(job, [...before, recorded, queues.add(queued, admittance.turn), index.add(job)])
    return { job: unfinishedJob(job, null, 0), queuePosition: admittance.jobsAhead, answeredFrom: null }
  }

  // The key of a job that is run again is not that of its retry.
  const submit: JobClient['submit'] = async (
    { idempotencyKeyHash: _old, ...job },
    blobs,
    { claim = null, ...admit } = {},
  ) => {
    if (claim === null) return enqueue(job, blobs, admit)
    await claim.send()
    const accepted = await enqueue({ ...job, idempotencyKeyHash: claim.keyHash }, blobs, admit)
    await claim.accept(accepted.job)
    return accepted
  }

  return {
    submit: (job, blobs, admit) => guarded(submit(job, blobs, admit)),
    async submitAndWait(job, blobs, { timeoutMs, signal, ...admit }) {
      const accepted: Accepted[] = []
      const look = async (): Promise<Job> => {
        const its = await submit({ ...job, replyTo: process }, blobs, admit)
        accepted.push(its)
        return its.job
      }
      const waited = await guarded(watcher.waitForReply(job.id, look, timeoutMs, signal)).catch((error: unknown) => {
        if (accepted.length === 0) throw error
        return null
      })
      const [its] = accepted
      if (its === undefined) throw new Error('waited for a job that was not submitted')
      // A reply tells of the end only; whoever gave up waiting before it is told whether the job runs.
      const last = waited !== null && isFinal(waited.status) ? waited : await read(job.id).catch(() => null)
      return { ...its, job: last ?? its.job }
    },
    claim: (request) => guarded(idempotency.claim(request)),
    read: (id, mayRead) => guarded(read(id, mayRead)),
    watch: (id, listener, onText, mayRead) => guarded(watcher.watch(id, listener, onText, mayRead)),
    waitFor: (id, timeoutMs, signal, mayRead) => guarded(watcher.waitFor(id, timeoutMs, signal, mayRead)),
    cancel: (id, mayRead) => guarded(control.cancel(id, mayRead)),
    purge: (model, versions) => guarded(control.purge(model, versions)),
    list: (its) => guarded(index.list(its, read)),
    readForRetry: (id, mayRead) => guarded(control.readForRetry(id, mayRead)),
    async ping() {
      await guarded(redis.ping())
    },
    probeWrite: (models) => guarded(probeWrite(redis, models)),
    evictionPolicy: () => guarded(assertLoaded(redis).then(async () => await readEvictionPolicy(redis))),
    depth: (model) => guarded(admission.depth(model)),
    async close() {
      orphans.close()
      clock.close()
      watcher.close()
      await queues.close()
      redis.disconnect()
      subscriber.disconnect()
    },
  }
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
