import { type FinalJob, type Job } from '@vision-queue/protocol'
import type { Retention } from '@vision-queue/process'
import type { RedisClient } from '@vision-queue/redis'

import { unfinishedJob } from '../job-forms.ts'
import type { JobQueues } from '../job-queues.ts'
import { jobKey } from '../keys.ts'
import { queuedJobSchema, type QueuedJob } from '../queued-job.ts'
import type { RedisClock } from '../redis-clock.ts'
import { expiredJob, failedJob } from '../unfinished-ends.ts'
import type { ResultStore } from '../worker/result-store.ts'
import type { JobEnder } from './job-control.ts'

/** What Redis has of a job: its final state, or its record as long as it has none. */
export type FoundJob = { final: FinalJob } | { final: null; record: QueuedJob }

interface Options {
  redis: RedisClient
  queues: JobQueues
  results: ResultStore
  ender: JobEnder
  retention: Retention
  clock: Pick<RedisClock, 'jobToLocal'>
}

/**
 * An owner's job; null if the owner has none with this id. Nothing more is asked about another owner's job than about an
 * id that was never given: the time it takes would tell that there is such a job.
 */
export async function findJob(
  { redis, results }: Pick<Options, 'redis' | 'results'>,
  id: string,
  owner: string | null,
): Promise<FoundJob | null> {
  // The record goes when the result comes, so it is asked for first: one of the two is there.
  const [stored, first] = await Promise.all([redis.get(jobKey(id)), results.read(id)])
  // Two nodes of a Cluster may have been asked in the other order.
  const final = first ?? (stored === null && redis.isCluster ? await results.read(id) : null)
  if (final !== null) return final.owner === owner ? { final } : null
  if (stored === null) return null
  const record = queuedJobSchema.parse(JSON.parse(stored))
  return record.owner === owner ? { final, record } : null
}

/** Reads a job as it is now; one whose end nobody has written yet is ended. */
export function createJobReading(options: Options): (id: string, owner: string | null) => Promise<Job | null> {
  const { queues, results, ender, clock } = options
  const ttlMs = options.retention.failedResultTtlMs
  return async (id, owner) => {
    const found = await findJob(options, id, owner)
    if (found === null || found.final !== null) return found?.final ?? null
    const job = clock.jobToLocal(found.record)
    const place = await queues.find(job)
    if (place?.state === 'waiting' && job.deadlineAt !== null && job.deadlineAt <= Date.now()) {
      return ender.end(job, expiredJob(job, place.attempts, ttlMs))
    }
    // Neither waiting nor running: finished since the first look, or its submission broke off half-way.
    if (place === null) return (await results.read(id)) ?? unfinishedJob(job, null, 0)
    if (place.state !== 'failed') {
      return unfinishedJob(job, place.state === 'active' ? place.startedAt : null, place.attempts)
    }
    return results.end(job, failedJob(job, place.attempts, ttlMs))
  }
}
