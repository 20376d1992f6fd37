import { raw2NextJobData } from 'bullmq'

/** A job that was moved to active under a lock of the backend's own. */
export interface TakenJob {
  readonly id: string
  readonly lock: string
  /** Names and values by turns. */
  readonly fields: readonly unknown[]
}

/** What came of asking for jobs. */
export interface Taken {
  readonly jobs: readonly TakenJob[]
  /** No more wait. */
  readonly empty: boolean
  /** When the next delayed job is due, in milliseconds since 1970; 0: there is none. */
  readonly nextAt: number
  /** The queue has a rate limit, so nothing was taken. */
  readonly limited: boolean
}

/** Reads the reply of `bull:take`. */
export function readTaken(reply: unknown): Taken {
  const [jobs, left, nextAt, limited]: unknown[] = Array.isArray(reply) ? reply : []
  if (!Array.isArray(jobs)) throw new Error('Redis answered bull:take with something else')
  return {
    jobs: jobs.map((job: unknown) => {
      const [id, lock, fields]: unknown[] = Array.isArray(job) ? job : []
      if (typeof id !== 'string' || typeof lock !== 'string' || !Array.isArray(fields)) {
        throw new TypeError('Redis answered bull:take with something that is no job')
      }
      return { id, lock, fields }
    }),
    empty: left === 0,
    nextAt: Number(nextAt),
    limited: limited === 1,
  }
}

/** The job as BullMQ's Worker takes it. */
export function nextJobOf({ id, fields }: TakenJob): unknown[] {
  return raw2NextJobData([[...fields], id, 0, 0])
}
