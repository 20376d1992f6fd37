import type { FinalJob, Job, JobMetrics } from '@vision-queue/protocol'
import type { QueuedJob } from './queued-job.ts'

/** A job that waits (`startedAt` null) or runs (`startedAt` in milliseconds since 1970). */
export function unfinishedJob(job: QueuedJob, startedAt: number | null, attempts: number): Job {
  return {
    id: job.id,
    owner: job.owner,
    status: startedAt === null ? 'queued' : 'running',
    model: job.model,
    version: job.modelVersion,
    variant: null,
    output: null,
    error: null,
    attempts,
    cached: false,
    metrics: null,
    metadata: job.metadata,
    priority: job.priority,
    retry_of: job.retryOf,
    created_at: new Date(job.createdAt).toISOString(),
    started_at: startedAt === null ? null : new Date(startedAt).toISOString(),
    completed_at: null,
    expires_at: null,
  }
}

/** What a job ended with; the rest of its final form follows from the job. */
export interface JobEnding {
  status: FinalJob['status']
  output?: FinalJob['output']
  error?: FinalJob['error']
  version?: string | null
  variant?: string | null
  attempts: number
  metrics?: JobMetrics | null
  /** Whether the answer is an earlier job's. */
  cached?: boolean
  /** When a consumer took it, in milliseconds since 1970. */
  startedAt?: number | null
}

/** A job's final form, complete as of now, readable for `resultTtlMs`. */
export function finalJob(job: QueuedJob, ending: JobEnding, resultTtlMs: number): FinalJob {
  const now = Date.now()
  return {
    ...unfinishedJob(job, ending.startedAt ?? null, ending.attempts),
    status: ending.status,
    version: ending.version ?? job.modelVersion,
    variant: ending.variant ?? null,
    output: ending.output ?? null,
    error: ending.error ?? null,
    metrics: ending.metrics ?? null,
    cached: ending.cached ?? false,
    completed_at: new Date(now).toISOString(),
    expires_at: new Date(now + resultTtlMs).toISOString(),
  }
}
