import {
  endedJobsKey,
  type FinalJob,
  type Job,
  type JobStatus,
  ownedJobsKey,
  type QueuedJob,
  type Retention,
} from '@vision-queue/jobs'
import { LRUCache } from 'lru-cache'
import type { RedisClient } from './redis-connection.ts'

/** Where a listing goes on: the last job that was seen, by when it was submitted (milliseconds since 1970) and its id. */
export interface ListCursor {
  at: number
  id: string
}

export interface ListOptions {
  owner: string | null
  status: JobStatus | null
  /** By name. */
  model: string | null
  /** Null: from the newest on. */
  cursor: ListCursor | null
  /** The most jobs that are given. */
  limit: number
}

/** A part of a listing; null: nothing comes after it. It may be empty and yet be followed by others. */
export interface JobPage {
  jobs: Job[]
  next: ListCursor | null
}

export interface JobIndexOptions {
  redis: RedisClient
  /** The most jobs that are listed for one owner, roughly. 0: none are. */
  listLength: number
  /** How long a job can be there at all. */
  keepMs: number
}

/** How many jobs one call looks at for those that are asked for. */
const lookedAt = 500
const chunk = 50
/** How often an owner's list is cut to its length. Until then it is longer by what is submitted meanwhile. */
const tendMs = 60_000

/**
 * The jobs of each owner, for listing. Of those that did not succeed there is a list for each ending, so that they
 * are found among many that did. A listed job may be gone: whoever reads the list reads the job.
 */
export interface JobIndex {
  /** One command, but for the first of an owner in a while. */
  add(job: QueuedJob): Promise<void>
  list(options: ListOptions, read: (id: string) => Promise<Job | null>): Promise<JobPage>
}

export function createJobIndex({ redis, listLength, keepMs }: JobIndexOptions): JobIndex {
  const tended = new LRUCache<string, true>({ max: 10_000, ttl: tendMs, ttlAutopurge: false })

  const page = async (key: string, { cursor }: ListOptions, offset: number): Promise<ListCursor[]> => {
    const from = cursor?.at ?? '+inf'
    const flat = await redis.zrevrangebyscore(key, from, '-inf', 'WITHSCORES', 'LIMIT', offset, chunk)
    return flat.flatMap((id, index) => (index % 2 === 0 ? [{ id, at: Number(flat[index + 1]) }] : []))
  }

  return {
    async add({ id, owner, createdAt }) {
      if (listLength === 0) return
      const key = ownedJobsKey(owner)
      const tend = !tended.has(key)
      if (tend) tended.set(key, true)
      await Promise.all([
        redis.zadd(key, createdAt, id),
        ...(tend ? [redis.zremrangebyrank(key, 0, -listLength - 1), redis.pexpire(key, keepMs)] : []),
      ])
    },
    async list(options, read) {
      const { owner, status, model, cursor, limit } = options
      const key = status === null || !hasOwnList(status) ? ownedJobsKey(owner) : endedJobsKey(owner, status)
      const jobs: Job[] = []
      for (let offset = 0; offset < lookedAt; offset += chunk) {
        const entries = await page(key, options, offset)
        // Of those that were submitted in one millisecond the greater ids come first.
        const after = entries.filter(({ at, id }) => cursor === null || at < cursor.at || id < cursor.id)
        const found = await Promise.all(after.map(async ({ id }) => read(id)))
        for (const [index, job] of found.entries()) {
          if (job === null || (status !== null && job.status !== status) || (model !== null && job.model !== model))
            continue
          jobs.push(job)
          if (jobs.length === limit) return { jobs, next: after[index] ?? null }
        }
        if (entries.length < chunk) return { jobs, next: null }
        if (offset + chunk >= lookedAt) return { jobs, next: entries.at(-1) ?? null }
      }
      return { jobs, next: null }
    },
  }
}

/** Enters a job that did not succeed under how it ended; the list lapses with the last of its results. */
export async function indexEnding(
  redis: RedisClient,
  { owner, createdAt }: QueuedJob,
  { id, status }: FinalJob,
  { failedResultTtlMs }: Retention,
): Promise<void> {
  const key = endedJobsKey(owner, status)
  await Promise.all([
    redis.zadd(key, createdAt, id),
    redis.zremrangebyrank(key, 0, -mostEnded - 1),
    redis.pexpire(key, failedResultTtlMs),
  ])
}

/** The most jobs of one owner that are listed under one ending; older ones can still be read by their ids. */
const mostEnded = 10_000

function hasOwnList(status: JobStatus): status is 'failed' | 'canceled' | 'expired' {
  return status === 'failed' || status === 'canceled' || status === 'expired'
}
