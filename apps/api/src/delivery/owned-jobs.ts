import type { Job } from '@vision-queue/protocol'
import type { QueuedJob } from '@vision-queue/queue'
import type { JobClient, JobWatch, MayRead } from '@vision-queue/queue/producer'

/** The jobs of one owner. Another's is as one that isn't known: null, at once, whatever is asked about it. */
export interface OwnedJobs {
  read(id: string): Promise<Job | null>
  watch(id: string, listener: (job: Job) => void, onText?: (text: string) => void): Promise<JobWatch | null>
  waitFor(id: string, timeoutMs: number, signal?: AbortSignal): Promise<Job | null>
  cancel(id: string): Promise<Job | null>
  readForRetry(id: string): Promise<QueuedJob | null>
  list(query: Omit<Parameters<JobClient['list']>[0], 'owner'>): ReturnType<JobClient['list']>
}

/**
 * The one place where it is decided who sees which job: routes that read jobs are given this instead of the
 * client. Scopes don't widen it; an administrator runs the service and doesn't read its mail.
 */
export function jobsOf(jobs: Pick<JobClient, keyof OwnedJobs>, owner: string | null): OwnedJobs {
  const mayRead: MayRead = (job) => job.owner === owner
  return {
    read: async (id) => jobs.read(id, mayRead),
    cancel: async (id) => jobs.cancel(id, mayRead),
    readForRetry: async (id) => jobs.readForRetry(id, mayRead),
    list: async (query) => jobs.list({ ...query, owner }),
    watch: async (id, listener, onText) => jobs.watch(id, listener, onText, mayRead),
    waitFor: async (id, timeoutMs, signal) => jobs.waitFor(id, timeoutMs, signal, mayRead),
  }
}
