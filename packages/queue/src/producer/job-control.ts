import { cancellationsChannel, jobKey } from '../keys.ts'
import { type FinalJob, type Job, VisionQueueError } from '@vision-queue/protocol'
import { finalJob } from '../job-forms.ts'
import { queuedJobSchema, type QueuedJob } from '../queued-job.ts'
import type { Retention } from '@vision-queue/process'

import { findJob } from './job-reading.ts'
import type { JobQueues } from '../job-queues.ts'
import { readPlaces } from '../queue-places.ts'
import type { ResultStore } from '../worker/result-store.ts'
import type { RedisClock } from '../redis-clock.ts'
import type { RedisClient } from '@vision-queue/redis'

/** What can be done with jobs that were accepted, from any API process. See OwnedJobs. */
export interface JobControl {
  cancel(id: string, owner: string | null): Promise<Job | null>
  readForRetry(id: string, owner: string | null): Promise<QueuedJob | null>
  /** Cancels the jobs that wait for the model, those pinned to `versions` too; resolves to how many there were. */
  purge(model: string, versions: readonly string[]): Promise<number>
}

export interface JobEnder {
  /**
   * Writes the final state of an unfinished job and takes the job out of the queue; where a consumer holds it,
   * that one is told to drop it. Resolves to the final state that the job has then. The state comes first: a
   * process that dies in between leaves a job that a consumer computes in vain, never one without an end.
   */
  end(job: QueuedJob, final: FinalJob): Promise<FinalJob>
}

interface Options {
  redis: RedisClient
  queues: JobQueues
  results: ResultStore
  retention: Retention
  clock: Pick<RedisClock, 'jobToLocal'>
}

export function createJobEnder({ redis, queues, results }: Options): JobEnder {
  return {
    async end(job, final) {
      // Another one may have been first, and one that is written may expire earlier than it was to.
      const standing = await results.end(job, final)
      if (!(await queues.remove(job))) await redis.publish(cancellationsChannel, job.id)
      return standing
    },
  }
}

/** Few enough that other commands have their turn in between. */
const purgedAtOnce = 100

export function createJobControl(options: Options, { end }: JobEnder): JobControl {
  const { redis, queues, results, clock } = options
  const failedTtlMs = options.retention.failedResultTtlMs
  return {
    async readForRetry(id, owner) {
      const [record, final] = await Promise.all([redis.get(jobKey(id)), results.read(id)])
      const job = record === null ? null : queuedJobSchema.parse(JSON.parse(record))
      const known = final ?? job
      if (known === null || known.owner !== owner) return null
      if (final === null) throw new VisionQueueError('job_not_retryable', 'The job has not ended yet.')
      if (final.status === 'succeeded') throw new VisionQueueError('job_not_retryable', 'The job has succeeded.')
      if (job === null) throw new VisionQueueError('job_not_retryable', 'What the job was is not kept any more.')
      // The metadata is kept with the result only.
      return { ...clock.jobToLocal(job), metadata: final.metadata }
    },
    async purge(model, versions) {
      let purged = 0
      const places = await readPlaces(redis, model)
      for (const [place, version] of places.flatMap((one) =>
        [null, ...versions].map((which) => [one, which] as const),
      )) {
        for (;;) {
          const page = await queues.listWaiting(place, version, purgedAtOnce)
          const jobs = page.flatMap((data) => {
            const parsed = queuedJobSchema.safeParse(data)
            return parsed.success ? [parsed.data] : []
          })
          const ends = await Promise.all(
            jobs.map(async (job) => end(job, finalJob(job, { status: 'canceled', attempts: 0 }, failedTtlMs))),
          )
          purged += ends.filter(({ status }) => status === 'canceled').length
          // What is left of a page nobody here understands.
          if (jobs.length === 0) break
        }
      }
      return purged
    },
    async cancel(id, owner) {
      const found = await findJob({ redis, results }, id, owner)
      if (found === null || found.final !== null) return found?.final ?? null
      const job = found.record
      const place = await queues.find(job)
      const startedAt = place?.state === 'active' ? place.startedAt : null
      return end(job, finalJob(job, { status: 'canceled', attempts: place?.attempts ?? 0, startedAt }, failedTtlMs))
    },
  }
}
