import type { JobSignal } from '@vision-queue/process'
import type { Job } from '@vision-queue/protocol'
import { guarded as guardedBy, type RedisClient, type TransportLog } from '@vision-queue/redis'

import type { QueuedJob } from '../queued-job.ts'
import { readLoggedText } from '../text-log.ts'
import type { JobChannels } from './job-channels.ts'
import type { JobControl } from './job-control.ts'
import { type JobEvents, type JobEventsOptions, openJobEvents } from './job-events.ts'
import type { JobIndex, JobPage, ListOptions } from './job-index.ts'
import { untilFinal } from './until-final.ts'

/**
 * The jobs of one owner: whoever reads or ends jobs does it here. Another owner's job is as one that is not known,
 * whatever is asked about it, and costs Redis the same.
 */
export interface OwnedJobs {
  /** The job as it is now; null if no such job is known or its result has expired. */
  read(id: string): Promise<Job | null>
  /** What happens to the job, from now on or after a position that the reader has. */
  events(id: string, options?: JobEventsOptions): JobEvents
  /** The job once it is final, or as it is after `timeoutMs` or when `signal` fires; null if no such job is known. */
  waitFor(id: string, timeoutMs: number, signal?: JobSignal): Promise<Job | null>
  /**
   * Ends the job as `canceled`, or leaves it with the final state it has; resolves to the job as it is then, to null if
   * no such job is known. Of a cancellation and a result the first that is written stays. Safe to repeat.
   */
  cancel(id: string): Promise<Job | null>
  /**
   * A failed, canceled or expired job as it was accepted, to be submitted again under another id; null if no such job
   * is known. Rejects with `job_not_retryable` if it ended otherwise or not yet, or is not kept any more.
   */
  readForRetry(id: string): Promise<QueuedJob | null>
  /** The jobs, newest first. */
  list(query: Omit<ListOptions, 'owner'>): Promise<JobPage>
}

interface Sources {
  redis: RedisClient
  /** Null if the owner has no such job. */
  read: (id: string, owner: string | null) => Promise<Job | null>
  channels: JobChannels
  control: JobControl
  index: JobIndex
  log: TransportLog
}

/** The jobs in Redis, by owner. */
export function createOwnedJobs({
  redis,
  channels,
  control,
  index,
  ...sources
}: Sources): (owner: string | null) => OwnedJobs {
  const guarded = <T>(work: Promise<T>): Promise<T> => guardedBy(work, redis)
  const eventSources = {
    log: sources.log,
    listen: channels.listen,
    read: sources.read,
    readText: async (id: string) => readLoggedText(redis, id),
  }
  return (owner) => {
    const events: OwnedJobs['events'] = (id, options) => {
      const opened = openJobEvents(eventSources, { id, owner }, options)
      return { open: () => guarded(opened.open()), [Symbol.asyncIterator]: () => opened[Symbol.asyncIterator]() }
    }
    const read = async (id: string): Promise<Job | null> => sources.read(id, owner)
    return {
      events,
      read: (id) => guarded(read(id)),
      waitFor: (id, timeoutMs, signal) =>
        guarded(untilFinal((end) => events(id, { signal: end, deltas: false }), timeoutMs, signal)),
      cancel: (id) => guarded(control.cancel(id, owner)),
      readForRetry: (id) => guarded(control.readForRetry(id, owner)),
      list: (query) => guarded(index.list({ ...query, owner }, read)),
    }
  }
}
