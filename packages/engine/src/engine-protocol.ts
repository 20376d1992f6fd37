import {
  batchCostSchema,
  errorCodeSchema,
  launchReasonSchema,
  modelManifestSchema,
  modelNameSchema,
  modelVersionSchema,
} from '@vision-queue/protocol'
import { z } from 'zod'

import { executionOptionsSchema } from '@vision-queue/models'
import { taskOutputSchema } from './task-output.ts'

/**
 * What a pool and its engine processes say to each other, over the channel of `child_process.fork`
 * with `serialization: 'advanced'`: image bytes travel as bytes. Both sides parse what they get;
 * of images only that they are bytes.
 */
const jsonRecordSchema = z.record(z.string(), z.json())

/** A job on its way into an engine. */
export const engineJobSchema = z.object({
  id: z.string(),
  /** The compressed files, in the job's order; as many as the model's manifest allows. */
  images: z.array(z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'bytes')),
  input: jsonRecordSchema,
  parameters: jsonRecordSchema,
  /** Milliseconds since 1970, by this machine's clock. */
  deadlineAt: z.int().nullable(),
  /** Whether somebody wants the answer's text as it comes. */
  stream: z.boolean().optional(),
})
export type EngineJob = z.infer<typeof engineJobSchema>

export const toEngineSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('jobs'), jobs: z.array(engineJobSchema) }),
  /** Drop this job if its batch is not launched yet. It is answered in any case. */
  z.object({ kind: z.literal('cancel'), id: z.string() }),
  /** No jobs will come any more: wait for nobody. */
  z.object({ kind: z.literal('drain') }),
])
export type ToEngine = z.infer<typeof toEngineSchema>

const failureSchema = z.object({ code: errorCodeSchema, detail: z.string() })

/** How a job ended; each job that was handed over gets exactly one, unless the engine dies. */
export const engineAnswerSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('value'),
    id: z.string(),
    output: taskOutputSchema,
    preprocessMs: z.number(),
    inferenceMs: z.number(),
    batchSize: z.int(),
  }),
  /** `cause` is for logs only. */
  z.object({ kind: z.literal('error'), id: z.string(), error: failureSchema, cause: z.string().nullable() }),
  z.object({ kind: z.literal('canceled'), id: z.string() }),
])
export type EngineAnswer = z.infer<typeof engineAnswerSchema>

/** What one step added to a job's text; after its engine died a job's text begins anew, at index 0. */
export const engineTextSchema = z.object({ id: z.string(), text: z.string(), index: z.int() })
export type EngineText = z.infer<typeof engineTextSchema>

export const fromEngineSchema = z.discriminatedUnion('kind', [
  /** The model is loaded and warm. */
  z.object({
    kind: z.literal('ready'),
    manifest: modelManifestSchema,
    cost: batchCostSchema.nullable(),
    residentBytes: z.int(),
  }),
  /** The model can't be loaded; the engine ends. `passing`: trying the same files again may help (see isPassing). */
  z.object({
    kind: z.literal('unavailable'),
    detail: z.string(),
    cause: z.string().nullable(),
    passing: z.boolean(),
  }),
  /** These jobs run now: if the engine dies before it answers, one of them is to blame. */
  z.object({ kind: z.literal('launch'), ids: z.array(z.string()) }),
  /** Of the jobs that asked for it, after a step. */
  z.object({ kind: z.literal('tokens'), tokens: z.array(engineTextSchema) }),
  z.object({
    kind: z.literal('answers'),
    answers: z.array(engineAnswerSchema),
    /** The session runs that it took, retries of a failed batch's parts among them. */
    runs: z.array(z.object({ size: z.int(), runMs: z.number() })),
    /** The batches that were answered in one run, explained. */
    launches: z.array(
      z.object({
        reason: launchReasonSchema,
        size: z.int(),
        predictedMs: z.number().nullable(),
        actualMs: z.number(),
      }),
    ),
    /** Ids of the batch that runs next, as in a `launch` message; empty: none yet. */
    launched: z.array(z.string()),
    /** CPU time of the process since its start. */
    cpuSeconds: z.number(),
    /** The most jobs of a batch from now on: less than the model's where its device ran out of memory. */
    batchLimit: z.int(),
    /** What a launch costs, as learned so far; null where answers take many runs. */
    cost: batchCostSchema.nullable(),
    residentBytes: z.int(),
  }),
])
export type FromEngine = z.infer<typeof fromEngineSchema>

/** What an engine process is started with, as JSON in its first argument. */
export const engineOptionsSchema = z.strictObject({
  name: modelNameSchema,
  version: modelVersionSchema,
  folder: z.string(),
  intraOpThreads: z.int().min(1),
  maxImagePixels: z.int().min(1),
  /** JPEGs and WebPs of more pixels are shrunk while they are read. */
  shrinkAbovePixels: z.int().min(0).optional(),
  /** Images of which the decoder holds more at a time are decoded one after the other. */
  heavyImageBytes: z.int().min(0).optional(),
  /** Whether code in the model's folder may be its task. */
  modelCode: z.boolean().optional(),
  execution: executionOptionsSchema.optional(),
  /** What a job's batch, and the one before it, may take together; 0 or absent: no objective. */
  latencyObjectiveMs: z.int().min(0).optional(),
  /** Near so much resident memory the engine makes its batches smaller; 0 or absent: no limit. */
  memoryLimitBytes: z.int().min(0).optional(),
})
export type EngineOptions = z.infer<typeof engineOptionsSchema>
