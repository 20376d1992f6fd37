import { z } from 'zod'

import {
  gpuFiguresSchema,
  loadProgressSchema,
  modelAliasesSchema,
  modelManifestSchema,
  modelNameSchema,
  modelStatsSchema,
  modelStatusSchema,
  modelVersionSchema,
} from '@vision-queue/protocol'

import { modelWorkSchema, versionWorkSchema } from './job-work.ts'

/** One version in a consumer's repository, loaded or not. */
export const announcedModelSchema = z.object({
  name: modelNameSchema,
  version: modelVersionSchema,
  status: modelStatusSchema,
  /** Whether jobs that name no version run on this one. */
  serving: z.boolean(),
  /**
   * A public sentence: why it failed; beside `ready`, why its newest files could not take over or engines are
   * missing; beside `loading`, why its engines could not be started so far.
   */
  error: z.string().nullable(),
  /** When engines that could not be started are tried again, in milliseconds since 1970; null: nothing is to be tried. */
  retryAt: z.int().nullable().optional(),
  /** Null until it was ready once. */
  manifest: modelManifestSchema.nullable(),
  /** What an engine does that loads it, the first one or one for newer files; absent: of a consumer from before. */
  loading: loadProgressSchema.nullable().optional(),
  engines: z.int(),
  /** Those of them that can take jobs now; absent: of a consumer from before. */
  enginesUp: z.int().optional(),
  stats: modelStatsSchema,
  /** Absent: nothing was measured yet, or of a consumer from before. */
  work: versionWorkSchema.optional(),
})
export type AnnouncedModel = z.infer<typeof announcedModelSchema>

/** A consumer's sign of life, renewed every few seconds; it expires when the consumer dies. */
export const consumerAnnouncementSchema = z.object({
  version: z.literal(2),
  id: z.string(),
  startedAt: z.int(),
  heartbeatAt: z.int(),
  engines: z.int(),
  models: z.array(announcedModelSchema),
  /** Over how many parts of each queue its models' jobs may be spread; absent, of a consumer from before: one. */
  queueParts: z.int().min(1).optional(),
  /** The GPUs of its machine, where it can tell; absent: of a consumer from before. */
  gpus: z.array(gpuFiguresSchema).optional(),
  /** By model name; absent: of a consumer from before. */
  jobs: z.record(modelNameSchema, modelWorkSchema).optional(),
  /** By model name. */
  aliases: z.record(modelNameSchema, modelAliasesSchema),
  process: z.object({
    /** CPU time used so far by the consumer's own process, and by its engines. */
    cpuSeconds: z.number(),
    engineCpuSeconds: z.number(),
    residentBytes: z.int(),
    /** The longest the consumer's event loop stood still since the heartbeat before, in milliseconds. */
    eventLoopDelayMs: z.number(),
  }),
})
export type ConsumerAnnouncement = z.infer<typeof consumerAnnouncementSchema>

/**
 * A standing order, which holds for consumers that start later too. Of the orders for a model and for
 * one of its versions the later holds. `configured`: as MODELS says.
 */
export const modelOrderSchema = z.object({
  wanted: z.enum(['configured', 'loaded', 'unloaded']),
  /** Milliseconds since 1970. */
  at: z.int(),
})
export type ModelOrder = z.infer<typeof modelOrderSchema>
