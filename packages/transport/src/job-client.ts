import {
  type CachedAnswer,
  type FinalJob,
  finalJob,
  isFinal,
  type Job,
  jobKey,
  queuedJobSchema,
  type QueuedJob,
  replyChannel,
  reusedAnswer,
  unfinishedJob,
  VisionQueueError,
} from '@vision-queue/jobs'
import { nanoid } from 'nanoid'

import { type AdmissionLimits, type AdmitOptions, createAdmission } from './admission.ts'
import { createJobQueues } from './job-queues.ts'
import { createJobWatcher, type JobWatch } from './job-watcher.ts'
import { createKnownAnswers } from './known-answers.ts'
import { guarded, openFailFastConnection, openSubscriber, type TransportLog } from './redis-connection.ts'
import { createResultStore } from './result-store.ts'

/** A job that was accepted. */
export interface Accepted {
  /** As it is: `queued` or, where an earlier answer serves, final. */
  job: Job
  /** How many unfinished jobs of the same model were accepted before it; null: it needs no turn. */
  queuePosition: number | null
  /** Where its answer came from without being computed. */
  answeredFrom: 'memory' | 'redis' | null
}

/** What the API needs of the queue. Every call rejects with `queue_unavailable` while Redis can't be reached. */
export interface JobClient {
  /**
   * Stores the image under its hash, checks the bound and queues the job, in that order of effect:
   * when this resolves the job is in Redis and will reach a final state. Where the answer is known already
   * (`digest`), the job is final at once and takes no place. `image` is null where the payload is stored
   * already and kept by somebody else. Rejects with `queue_full` over `maxJobs` or `maxBytes` and with
   * `deadline_unmeetable`, both with `retryAfterMs`.
   */
  submit(job: QueuedJob, image: Uint8Array | null, options?: Partial<AdmitOptions>): Promise<Accepted>
  /**
   * Submits and waits until the job is final, `timeoutMs` have passed or `signal` fires. Rejects only where
   * `submit` would: once the job is accepted, it is given as it was last known. Cheaper than `submit` and
   * `waitFor`: the consumer answers this process directly, and nothing is read or subscribed to for the job.
   */
  submitAndWait(
    job: QueuedJob,
    image: Uint8Array | null,
    options: Partial<AdmitOptions> & { timeoutMs: number; signal?: AbortSignal },
  ): Promise<Accepted>
  /** The job as it is now, or null when no such job is known (or its result has expired). */
  read(id: string): Promise<Job | null>
  /**
   * Calls `listener` with the job as it is, then after each change, until closed. Subscribes before
   * it reads, so no change falls between; reads again after a reconnect. Resolves to null when no such job is known.
   * `onText` gets the whole text so far of an answer that is being generated, each time it has grown.
   */
  watch(id: string, listener: (job: Job) => void, onText?: (text: string) => void): Promise<JobWatch | null>
  /** The job once it is final, or as it is after `timeoutMs` or when `signal` fires; null when no such job is known. */
  waitFor(id: string, timeoutMs: number, signal?: AbortSignal): Promise<Job | null>
  /** Resolves when Redis answers; rejects with `queue_unavailable` within the command timeout. */
  ping(): Promise<void>
  /** Unfinished jobs admitted for the model, and their payload bytes. */
  depth(model: string): Promise<{ jobs: number; bytes: number }>
  /** Ends all watches and connections; waits for none of them. */
  close(): Promise<void>
}

/** For the results that the API writes itself, of jobs that no consumer could finish. */
const defaultResultTtlMs = 3_600_000

export interface JobClientOptions extends AdmissionLimits {
  redisUrl: string
  /** Memory for answers that this process has met; 0: none. */
  answerMemoryBytes: number
  /** How long Redis may take to answer one command before the caller gets `queue_unavailable`. */
  commandTimeoutMs: number
  log: TransportLog
}

export function openJobClient(options: JobClientOptions): JobClient {
  const redis = openFailFastConnection({ ...options, name: 'api' })
  const subscriber = openSubscriber({ ...options, name: 'api-subscriber' })
  const admission = createAdmission(redis)
  const queues = createJobQueues(redis)
  // The API writes a result for a job that BullMQ has given up on or that an earlier answer serves, with the consumers' defaults.
  const results = createResultStore({ redis, resultTtlMs: defaultResultTtlMs, keepPayloadMs: 0, answerTtlMs: 0 })
  const known = createKnownAnswers(options.answerMemoryBytes)
  /** What consumers call this process by. */
  const process = nanoid()

  const read = async (id: string): Promise<Job | null> => {
    // The record goes when the result comes, so it is asked for first: one of the two is there.
    const [record, final] = await Promise.all([redis.get(jobKey(id)), results.read(id)])
    if (final !== null || record === null) return final
    const job = queuedJobSchema.parse(JSON.parse(record))
    const place = await queues.find(job)
    // Neither waiting nor running: finished since the first look, or its submission broke off half-way.
    if (place === null) return (await results.read(id)) ?? unfinishedJob(job, null, 0)
    if (place.state !== 'failed') {
      return unfinishedJob(job, place.state === 'active' ? place.startedAt : null, place.attempts)
    }
    await results.finish(job, failedJob(job, place.attempts, defaultResultTtlMs))
    return results.read(id)
  }
  const watcher = createJobWatcher({ subscriber, replies: replyChannel(process), read, log: options.log })

  const answered = async (job: QueuedJob, answer: CachedAnswer): Promise<FinalJob> => {
    const final = reusedAnswer(job, answer, { attempts: 0, resultTtlMs: defaultResultTtlMs })
    await results.keep(final)
    return final
  }

  const submit: JobClient['submit'] = async (job, image, admit = {}) => {
    const { digest = null } = admit
    const remembered = digest === null ? null : known.get(digest)
    if (remembered !== null) {
      return { job: await answered(job, remembered), queuePosition: null, answeredFrom: 'memory' }
    }
    const admittance = await admission.admit(job, options, admit)
    if (admittance.kind === 'answered') {
      if (digest !== null) known.add(digest, admittance.answer)
      return { job: await answered(job, admittance.answer), queuePosition: null, answeredFrom: 'redis' }
    }
    // Sent in this order: when a consumer has the job, its image and its record are there.
    await Promise.all([
      image === null || admittance.stored ? null : admission.store(job, image, options),
      redis.set(jobKey(job.id), JSON.stringify(job), 'PX', options.payloadTtlMs),
      queues.add(job),
    ])
    return { job: unfinishedJob(job, null, 0), queuePosition: admittance.jobsAhead, answeredFrom: null }
  }

  return {
    submit: (job, image, admit) => guarded(submit(job, image, admit)),
    async submitAndWait(job, image, { timeoutMs, signal, ...admit }) {
      const accepted: Accepted[] = []
      const look = async (): Promise<Job> => {
        const its = await submit({ ...job, replyTo: process }, image, admit)
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
    read: (id) => guarded(read(id)),
    watch: (id, listener, onText) => guarded(watcher.watch(id, listener, onText)),
    waitFor: (id, timeoutMs, signal) => guarded(watcher.waitFor(id, timeoutMs, signal)),
    async ping() {
      await guarded(redis.ping())
    },
    depth: (model) => guarded(admission.depth(model)),
    async close() {
      watcher.close()
      await queues.close()
      redis.disconnect()
      subscriber.disconnect()
    },
  }
}

/** The final state of a job that no consumer could finish in any of its attempts. */
export function failedJob(job: QueuedJob, attempts: number, resultTtlMs: number): FinalJob {
  const error = new VisionQueueError('inference_failed', `The job could not be finished in ${attempts} attempts.`)
  return finalJob(job, { status: 'failed', error: error.toJobError(), attempts }, resultTtlMs)
}
