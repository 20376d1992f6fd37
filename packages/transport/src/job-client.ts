import {
  type FinalJob,
  finalJob,
  type Job,
  jobKey,
  queuedJobSchema,
  type QueuedJob,
  unfinishedJob,
  VisionQueueError,
} from '@vision-queue/jobs'

import { type AdmissionLimits, createAdmission } from './admission.ts'
import { createJobQueues } from './job-queues.ts'
import { createJobWatcher, type JobWatch } from './job-watcher.ts'
import { guarded, openFailFastConnection, openSubscriber, type TransportLog } from './redis-connection.ts'
import { createResultStore } from './result-store.ts'

/** A job that was accepted: how many unfinished jobs of the same model were accepted before it. */
export interface Accepted {
  queuePosition: number
}

/** What the API needs of the queue. Every call rejects with `queue_unavailable` while Redis can't be reached. */
export interface JobClient {
  /**
   * Stores the image under its hash, checks the bound and queues the job, in that order of effect:
   * when this resolves the job is in Redis and will reach a final state. Rejects with `queue_full`
   * (with `retryAfterMs`) over `maxJobs` or `maxBytes`. `image` is null where it is stored already and kept by
   * somebody else, as uploaded ones are.
   */
  submit(job: QueuedJob, image: Uint8Array | null): Promise<Accepted>
  /**
   * Submits and waits until the job is final, `timeoutMs` have passed or `signal` fires. Rejects only where
   * `submit` would: once the job is accepted, it is given as it was last known. Cheaper than `submit` and
   * `waitFor`: what has just been submitted need not be read.
   */
  submitAndWait(
    job: QueuedJob,
    image: Uint8Array | null,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Accepted & { job: Job }>
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
  /** How long Redis may take to answer one command before the caller gets `queue_unavailable`. */
  commandTimeoutMs: number
  log: TransportLog
}

export function openJobClient(options: JobClientOptions): JobClient {
  const redis = openFailFastConnection({ ...options, name: 'api' })
  const subscriber = openSubscriber({ ...options, name: 'api-subscriber' })
  const admission = createAdmission(redis)
  const queues = createJobQueues(redis)
  // The API writes a result only for a job that BullMQ has given up on, with the consumers' defaults.
  const results = createResultStore({ redis, resultTtlMs: defaultResultTtlMs, keepPayloadMs: 0 })

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
  const watcher = createJobWatcher({ subscriber, read, log: options.log })

  const submit = async (job: QueuedJob, image: Uint8Array | null): Promise<Accepted> => {
    const queuePosition = await admission.admit(job, image, options)
    // Sent in this order: when a consumer has the job, its record is there.
    await Promise.all([redis.set(jobKey(job.id), JSON.stringify(job), 'PX', options.payloadTtlMs), queues.add(job)])
    return { queuePosition }
  }

  return {
    submit: (job, image) => guarded(submit(job, image)),
    async submitAndWait(job, image, timeoutMs, signal) {
      const fresh = unfinishedJob(job, null, 0)
      const places: Accepted[] = []
      const look = async (): Promise<Job> => {
        places.push(await submit(job, image))
        return fresh
      }
      const waited = await guarded(watcher.waitFor(job.id, timeoutMs, signal, look)).catch((error: unknown) => {
        if (places.length === 0) throw error
        return null
      })
      return { queuePosition: places[0]?.queuePosition ?? 0, job: waited ?? fresh }
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
