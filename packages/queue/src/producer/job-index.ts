import type { Step, Turns } from '@vision-queue/bullmq-batching'

import { endedJobsKey, ownedJobsKey, resultKey } from '../keys.ts'
import { listStep } from '../record-steps.ts'
import { turnsOf } from '../redis-turns.ts'
import type { FinalJob, Job, JobStatus } from '@vision-queue/protocol'
import type { QueuedJob } from '../queued-job.ts'
import type { Retention } from '@vision-queue/process'
import { LRUCache } from 'lru-cache'
import type { RedisClient } from '@vision-queue/redis'

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
  /** Default: those of the connection. */
  turns?: Turns
  /** The most jobs that are listed for one owner, roughly. 0: none are. */
  listLength: number
  /** How long a job can be there at all. */
  keepMs: number
}

/** How many entries of a list one call looks at for the jobs that are asked for. */
const lookedAt = 500
const chunk = 50
/** How many jobs one call reads that are not asked for. A job may be large, and reading it is most of the work. */
const readInVain = 50
const readAtOnce = 5
/** How often an owner's list is cut to its length. Until then it is longer by what is submitted meanwhile. */
const tendMs = 60_000

/**
 * The jobs of each owner, for listing. Of those that did not succeed there is a list for each ending, so that they
 * are found among many that did. A listed job may be gone: whoever reads the list reads the job. An entry names the
 * job's model, so that jobs of other models are passed over without being read; an earlier release's has the id only.
 */
export interface JobIndex {
  add(job: QueuedJob): Promise<void>
  /** The step that adds the job; none where nothing is listed. */
  steps(job: QueuedJob): Step[]
  list(options: ListOptions, read: (id: string) => Promise<Job | null>): Promise<JobPage>
}

export function createJobIndex({ redis, turns = turnsOf(redis), listLength, keepMs }: JobIndexOptions): JobIndex {
  const tended = new LRUCache<string, true>({ max: 10_000, ttl: tendMs, ttlAutopurge: false })

  const steps: JobIndex['steps'] = ({ id, model, owner, createdAt }) => {
    if (listLength === 0) return []
    const key = ownedJobsKey(owner)
    const tend = !tended.has(key)
    if (tend) tended.set(key, true)
    return [listStep(key, { at: createdAt, entry: `${id} ${model}` }, tend ? { length: listLength, keepMs } : null)]
  }

  const page = async (key: string, { cursor }: ListOptions, offset: number): Promise<Entry[]> => {
    const from = cursor?.at ?? '+inf'
    const flat = await redis.zrevrangebyscore(key, from, '-inf', 'WITHSCORES', 'LIMIT', offset, chunk)
    return flat.flatMap((member, index) => {
      const [id = '', model = null] = member.split(' ')
      return index % 2 === 0 ? [{ id, model, at: Number(flat[index + 1]) }] : []
    })
  }

  /** The entries that may be asked for, as far as that can be told without reading the jobs. */
  const candidates = async (entries: Entry[], { cursor, model, status }: ListOptions): Promise<Entry[]> => {
    const some = entries.filter((entry) => {
      // Of those that were submitted in one millisecond the greater ids come first.
      const comes = cursor === null || entry.at < cursor.at || entry.id < cursor.id
      return comes && (model === null || entry.model === null || entry.model === model)
    })
    if (status === null || hasOwnList(status)) return some
    const ended = await Promise.all(some.map(async ({ id }) => redis.exists(resultKey(id))))
    return some.filter((_, index) => ended[index] === (status === 'succeeded' ? 1 : 0))
  }

  return {
    steps,
    async add(job) {
      const added = steps(job)
      if (added.length > 0) await turns.run(added)
    },
    async list(options, read) {
      const { owner, status, model, limit } = options
      const isAskedFor = (job: Job): boolean =>
        (status === null || job.status === status) && (model === null || job.model === model)
      const key = status === null || !hasOwnList(status) ? ownedJobsKey(owner) : endedJobsKey(owner, status)
      const jobs: Job[] = []
      let inVain = 0
      for (let offset = 0; offset < lookedAt; offset += chunk) {
        const entries = await page(key, options, offset)
        const left = await candidates(entries, options)
        while (left.length > 0) {
          const some = left.splice(0, Math.max(limit - jobs.length, readAtOnce))
          const found = await Promise.all(some.map(async ({ id }) => read(id)))
          for (const [index, job] of found.entries()) {
            if (job === null) continue
            if (isAskedFor(job)) jobs.push(job)
            else inVain += 1
            if (jobs.length === limit) return { jobs, next: cursorOf(some[index]) }
          }
          if (inVain >= readInVain) return { jobs, next: cursorOf(some.at(-1)) }
        }
        if (entries.length < chunk) return { jobs, next: null }
        if (offset + chunk >= lookedAt) return { jobs, next: cursorOf(entries.at(-1)) }
      }
      return { jobs, next: null }
    },
  }
}

/** Enters a job that did not succeed under how it ended; the list lapses with the last of its results. */
export function endingStep(
  { owner, createdAt }: QueuedJob,
  { id, model, status }: FinalJob,
  { failedResultTtlMs }: Retention,
): Step {
  const cut = { length: mostEnded, keepMs: failedResultTtlMs }
  return listStep(endedJobsKey(owner, status), { at: createdAt, entry: `${id} ${model}` }, cut)
}

interface Entry extends ListCursor {
  model: string | null
}

function cursorOf(entry: Entry | undefined): ListCursor | null {
  return entry === undefined ? null : { at: entry.at, id: entry.id }
}

/** The most jobs of one owner that are listed under one ending; older ones can still be read by their ids. */
const mostEnded = 10_000

function hasOwnList(status: JobStatus): status is 'failed' | 'canceled' | 'expired' {
  return status === 'failed' || status === 'canceled' || status === 'expired'
}
