import type { Job } from '@vision-queue/jobs'
import type { JobClient, JobWatch } from '@vision-queue/transport'

/** The jobs of one owner. Another's is as one that isn't known: null, at once, whatever is asked about it. */
export interface OwnedJobs {
  read(id: string): Promise<Job | null>
  watch(id: string, listener: (job: Job) => void, onText?: (text: string) => void): Promise<JobWatch | null>
  waitFor(id: string, timeoutMs: number, signal?: AbortSignal): Promise<Job | null>
}

/**
 * The one place where it is decided who sees which job: routes that read jobs are given this instead of the
 * client. Scopes don't widen it; an administrator runs the service and doesn't read its mail.
 */
export function jobsOf(jobs: Pick<JobClient, 'read' | 'watch' | 'waitFor'>, owner: string | null): OwnedJobs {
  const mayRead = (job: Job): boolean => job.owner === owner
  return {
    async read(id) {
      const job = await jobs.read(id)
      return job === null || !mayRead(job) ? null : job
    },
    watch: async (id, listener, onText) => jobs.watch(id, listener, onText, mayRead),
    waitFor: async (id, timeoutMs, signal) => jobs.waitFor(id, timeoutMs, signal, mayRead),
  }
}
