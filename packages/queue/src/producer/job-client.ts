import { type CachedAnswer, reusedAnswer } from '../cached-answer.ts'
import { type FinalJob, isFinal, type Job, VisionQueueError } from '@vision-queue/protocol'
import { imageNameOf, jobKey, replyChannel } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'
import type { Retention } from '@vision-queue/process'
import { unfinishedJob } from '../job-forms.ts'
import { isReplyError } from '@vision-queue/redis'
import { nanoid } from 'nanoid'

import { type AdmissionLimits, type AdmitOptions, createAdmission } from './admission.ts'
import { createIdempotencyKeys, type IdempotencyClaim, type IdempotencyKeys } from './idempotency-keys.ts'
import { createUploadHolds } from './image-store.ts'
import { openJobChannels } from './job-channels.ts'
import { createJobControl, createJobEnder } from './job-control.ts'
import { createJobIndex } from './job-index.ts'
import { createJobReading } from './job-reading.ts'
import { createOwnedJobs, type OwnedJobs } from './owned-jobs.ts'
import { waitForReply } from './wait-for-reply.ts'
import { createJobQueues } from '../job-queues.ts'
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
export interface JobClient extends IdempotencyKeys {
  /** The jobs of an owner; null: those that were submitted without a key. */
  of(owner: string | null): OwnedJobs
  /**
   * Stores the image under its hash, checks the bound and queues the job, in that order of effect:
   * when this resolves the job is in Redis and will reach a final state. Where the answer is known already
   * (`digest`), the job is final at once and takes no place. `image` is null where the payload is stored
   * already and kept by somebody else. Rejects with `queue_full` over `maxJobs` or `maxBytes`, with
   * `quota_exceeded` over the owner's and with `deadline_unmeetable`, all with `retryAfterMs`.
   */
  submit(job: QueuedJob, image: Uint8Array | null, options?: Partial<SubmitOptions>): Promise<Accepted>
  /**
   * Submits and waits until the job is final, `timeoutMs` have passed or `signal` fires. Rejects only where
   * `submit` would: once the job is accepted, it is given as it was last known. Cheaper than `submit` and
   * `waitFor`: the consumer answers this process directly, and nothing is read or subscribed to for the job.
   */
  submitAndWait(
    job: QueuedJob,
    image: Uint8Array | null,
    options: Partial<SubmitOptions> & { timeoutMs: number; signal?: AbortSignal },
  ): Promise<Accepted>
  /** Cancels the jobs that wait for the model, those pinned to `versions` too; resolves to how many there were. */
  purge(model: string, versions: readonly string[]): Promise<number>
  /** Resolves when Redis answers; rejects with `queue_unavailable` within the command timeout. */
  ping(): Promise<void>
  /** Resolves when Redis takes writes for these models; see probeWrite. Rejects with `queue_unavailable`, which says why not. */
  probeWrite(models: readonly string[]): Promise<void>
  /** Under which Redis drops keys when its memory is full, which loses accepted jobs (maxmemory-policy); null: none. */
  evictionPolicy(): Promise<string | null>
  /** Unfinished jobs admitted for the model, and their payload bytes. */
  depth(model: string): Promise<{ jobs: number; bytes: number }>
  /** Ends all events, waits and connections; waits for none of them. */
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
  const uploads = createUploadHolds(redis)
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
    uploads,
    everyMs: options.orphanCheckMs,
    log: options.log,
  })
  /** How long a place of the owner's quota is held until the job is admitted: for a few commands. */
  const placeMs = 1000 + 4 * options.commandTimeoutMs
  const known = createKnownAnswers(options.answerMemoryBytes)
  /** What consumers call this process by. */
  const process = nanoid()

  const read = createJobReading({ ...controlled, ender })
  // A submission is some commands, each of which may take its time.
  const idempotency = createIdempotencyKeys({ redis, read, sendMs: 1000 + 6 * options.commandTimeoutMs, keepMs })
  const channels = openJobChannels({ subscriber, replies: replyChannel(process), log: options.log })
  const of = createOwnedJobs({ redis, read, channels, control, index, log: options.log })

  const answered = async (job: QueuedJob, answer: CachedAnswer): Promise<FinalJob> => {
    const final = reusedAnswer(job, answer, { attempts: 0, resultTtlMs: retention.resultTtlMs })
    const [kept] = await Promise.all([results.keep(final), index.add(job)])
    return kept
  }

  /** Leaves nothing of a job that was admitted and could not be queued; where that fails, its admission lapses. */
  const undo = async (job: QueuedJob): Promise<void> => {
    await Promise.allSettled([
      queues.remove(job),
      admission.release(job, null),
      redis.unlink(jobKey(job.id)),
      quotas.release(job),
    ])
  }

  const enqueue: JobClient['submit'] = async (job, image, admit = {}) => {
    const { digest = null } = admit
    const remembered = digest === null ? null : known.get(digest)
    if (remembered !== null) {
      return { job: await answered(job, remembered), queuePosition: null, answeredFrom: 'memory' }
    }
    if (admit.quota) await quotas.take(job, admit.quota, placeMs)
    const giveBack = async (): Promise<void> => {
      if (admit.quota) await quotas.release(job)
    }
    const admittance = await admission.admit(job, options, admit).catch(async (error: unknown) => {
      // Refused, it holds no place; where Redis went away it may be in, and its place lapses in time.
      if (error instanceof VisionQueueError || isReplyError(error)) await giveBack()
      throw error
    })
    if (admittance.kind === 'answered') {
      await giveBack()
      if (digest !== null) known.add(digest, admittance.answer)
      return { job: await answered(job, admittance.answer), queuePosition: null, answeredFrom: 'redis' }
    }
    const queued = clock.jobToRedis(job)
    // Sent in this order: when a consumer has the job, its image and its record are there. The nodes of a
    // Cluster keep none.
    const confirmed = Promise.all([
      admit.quota ? quotas.confirm(job, admit.quota, options.payloadTtlMs) : null,
      job.image.uploaded ? uploads.extend(imageNameOf(job.image), job.id, options.payloadTtlMs) : null,
    ])
    // Without it nothing is queued: it might come after the job's end.
    if (redis.isCluster) await confirmed
    const recorded = redis.set(jobKey(job.id), JSON.stringify(queued), 'PX', options.payloadTtlMs)
    if (redis.isCluster) await Promise.allSettled([recorded])
    const sent = await Promise.allSettled([
      confirmed,
      image === null || admittance.stored ? null : admission.store(job, image, options),
      recorded,
      queues.add(queued, admittance.turn),
      index.add(job),
    ])
    const failures = sent.flatMap((its): unknown[] => (its.status === 'rejected' ? [its.reason] : []))
    // Redis has said no, as it does when its memory is full; where it didn't answer, the job may be queued.
    if (failures.length > 0 && failures.every((error) => isReplyError(error))) await undo(job)
    if (failures.length > 0) throw failures[0]
    return { job: unfinishedJob(job, null, 0), queuePosition: admittance.jobsAhead, answeredFrom: null }
  }

  // The key of a job that is run again is not that of its retry.
  const submit: JobClient['submit'] = async (
    { idempotencyKeyHash: _old, ...job },
    image,
    { claim = null, ...admit } = {},
  ) => {
    if (claim === null) return enqueue(job, image, admit)
    await claim.send()
    const accepted = await enqueue({ ...job, idempotencyKeyHash: claim.keyHash }, image, admit)
    await claim.accept(accepted.job)
    return accepted
  }

  return {
    submit: (job, image, admit) => guarded(submit(job, image, admit)),
    async submitAndWait(job, image, { timeoutMs, signal, ...admit }) {
      const accepted: Accepted[] = []
      const submitted = async (): Promise<Job> => {
        const its = await submit({ ...job, replyTo: process }, image, admit)
        accepted.push(its)
        return its.job
      }
      const readAgain = async (): Promise<Job | null> => read(job.id, job.owner)
      const waiting = waitForReply(channels, { id: job.id, submit: submitted, read: readAgain, timeoutMs, signal })
      const waited = await guarded(waiting).catch((error: unknown) => {
        if (accepted.length === 0) throw error
        return null
      })
      const [its] = accepted
      if (its === undefined) throw new Error('waited for a job that was not submitted')
      // A reply tells of the end only; whoever gave up waiting before it is told whether the job runs.
      const last = waited !== null && isFinal(waited.status) ? waited : await readAgain().catch(() => null)
      return { ...its, job: last ?? its.job }
    },
    of,
    claim: (request) => guarded(idempotency.claim(request)),
    purge: (model, versions) => guarded(control.purge(model, versions)),
    async ping() {
      await guarded(redis.ping())
    },
    probeWrite: (models) => guarded(probeWrite(redis, models)),
    evictionPolicy: () => guarded(assertLoaded(redis).then(async () => await readEvictionPolicy(redis))),
    depth: (model) => guarded(admission.depth(model)),
    async close() {
      orphans.close()
      clock.close()
      channels.close()
      await queues.close()
      redis.disconnect()
      subscriber.disconnect()
    },
  }
}
