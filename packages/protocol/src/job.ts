import { z } from 'zod'
import { jobErrorSchema } from './errors.ts'
import { jobIdSchema, metadataSchema, prioritySchema } from './job-fields.ts'
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
