import { z } from 'zod'

import { jobErrorSchema } from './errors.ts'
import { jobIdSchema, metadataSchema, prioritySchema, type QueuedJob } from './queued-job.ts'
import { finalStatusSchema, jobStatusSchema } from './states.ts'

/** Where a job's time went, in milliseconds, and how many jobs shared its session run. */
export const jobMetricsSchema = z.object({
  /** From acceptance to the hand-over to an engine. */
  queue_ms: z.number(),
  /** Decoding, resizing and tokenising. */
  preprocess_ms: z.number(),
  /** The session run of the whole batch. */
  inference_ms: z.number(),
  batch_size: z.int(),
  /** From acceptance to the result. */
  total_ms: z.number(),
})
export type JobMetrics = z.infer<typeof jobMetricsSchema>

/** A job as clients see it, in every state; the API adds `urls` and leaves out the owner. */
export const jobSchema = z.object({
  id: jobIdSchema,
  /** See QueuedJob; not shown to clients. */
  owner: z.string().nullable().default(null),
  status: jobStatusSchema,
  model: z.string(),
  version: z.string().nullable(),
  variant: z.string().nullable(),
  output: z.record(z.string(), z.json()).nullable(),
  error: jobErrorSchema.nullable(),
  attempts: z.int(),
  cached: z.boolean(),
  metrics: jobMetricsSchema.nullable(),
  metadata: metadataSchema.nullable(),
  priority: prioritySchema.default('normal'),
  /** The job that this one is another try of; null: it is the first. */
  retry_of: jobIdSchema.nullable().default(null),
  created_at: z.iso.datetime(),
  started_at: z.iso.datetime().nullable(),
  completed_at: z.iso.datetime().nullable(),
  /** When the result is forgotten; null while the job is not final. */
  expires_at: z.iso.datetime().nullable(),
})
export type Job = z.infer<typeof jobSchema>

/** A job in a final state: what the result store keeps. */
export const finalJobSchema = jobSchema.extend({ status: finalStatusSchema })
export type FinalJob = z.infer<typeof finalJobSchema>

export const jobUrlsSchema = z.object({ self: z.string(), events: z.string(), cancel: z.string() })

/** A job as the API answers it. `queue_position` counts the jobs of the model ahead of a fresh one. */
export const jobResponseSchema = jobSchema.omit({ owner: true }).extend({
  queue_position: z.int().optional(),
  /** In how many milliseconds a fresh job will be done, by what its consumers announce of their pace. */
  eta_ms: z.int().optional(),
  urls: jobUrlsSchema,
})
export type JobResponse = z.infer<typeof jobResponseSchema>

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

/** What a consumer publishes on a job's channel: that it runs now, its answer's text so far, or its final state. */
export const jobChangeSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('running'), startedAt: z.int(), attempts: z.int() }),
  z.object({ kind: z.literal('tokens'), text: z.string() }),
  z.object({ kind: z.literal('final'), job: finalJobSchema }),
])
export type JobChange = z.infer<typeof jobChangeSchema>
