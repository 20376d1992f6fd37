import {
  type BatchCost,
  batchCostSchema,
  type ErrorCode,
  type GenerationFigures,
  generationFiguresSchema,
  type LoadStep,
  modelManifestSchema,
  modelNameSchema,
  modelVersionSchema,
} from '@vision-queue/protocol'
import { z } from 'zod'

import { executionOptionsSchema } from '@vision-queue/models'
import type { Launch } from './batching/launch.ts'
import type { BatchRun, GenerationTimes } from './batching/run-or-split.ts'
import type { TaskOutput } from './task-output.ts'

/**
 * What a pool and its engine processes say to each other, over the channel of `child_process.fork` with
 * `serialization: 'advanced'`: image bytes travel as bytes. Both are of one release: an engine says with `ready` which
 * protocol it speaks, and from then on messages are looked at only as far as read-messages.ts does.
 */
export const engineProtocol = 3

/** Where an engine reads images itself, with rights to nothing else. */
export interface BlobSource {
  /** With the password. It is told by message: what a process is started with, others on its machine may read. */
  redisUrl: string
  /** How long an engine waits for Redis before it says that it could not read an image. */
  timeoutMs: number
}

/** An image that lies with the blobs. */
export interface EngineBlob {
  /** The address, see BlobAddress. */
  space: string | null
  hash: string
  /** How many bytes it has. */
  bytes: number
}

/** An image that lies elsewhere, at an address that gives it to whoever has the address, for some minutes. */
export interface EngineWebImage {
  url: string
  /** SHA-256 of its bytes, in hexadecimal digits. */
  hash: string
  bytes: number
  /** How long an engine waits for it before it says that it could not read it. */
  timeoutMs: number
}

/** A compressed file, or where to read it. */
export type EngineImage = Uint8Array | EngineBlob | EngineWebImage

/** A job on its way into an engine. */
export interface EngineJob {
  id: string
  /** In the job's order; as many as the model's manifest allows. */
  images: readonly EngineImage[]
  input: Record<string, z.core.util.JSONType>
  parameters: Record<string, z.core.util.JSONType>
  /** Milliseconds since 1970, by this machine's clock. */
  deadlineAt: number | null
  /** Whether somebody wants the answer's text as it comes. */
  stream?: boolean | undefined
}

/** What a pool says to an engine. */
export type ToEngine =
  /** Before any job whose images come as addresses. */
  | { kind: 'blobs'; source: BlobSource }
  | { kind: 'jobs'; jobs: readonly EngineJob[] }
  /** Drop this job if its batch is not launched yet. It is answered in any case. */
  | { kind: 'cancel'; id: string }
  /** No jobs will come any more: wait for nobody. */
  | { kind: 'drain' }

/** How a job ended; each job that was handed over gets exactly one, unless the engine dies. */
export type EngineAnswer =
  | {
      kind: 'value'
      id: string
      output: TaskOutput
      preprocessMs: number
      inferenceMs: number
      batchSize: number
      /** Of an answer that was generated. */
      times?: GenerationTimes
    }
  /** `cause` is for logs only. */
  | { kind: 'error'; id: string; error: { code: ErrorCode; detail: string }; cause: string | null }
  | { kind: 'canceled'; id: string }
  /** The engine could not read its images; nothing is known of the job. */
  | { kind: 'unread'; id: string; cause: string | null }

/** What one step added to a job's text; after its engine died a job's text begins anew, at index 0. */
export interface EngineText {
  id: string
  text: string
  index: number
}

/** The first message of an engine whose model is loaded and warm. */
export const readySchema = z.object({
  kind: z.literal('ready'),
  protocol: z.literal(engineProtocol),
  manifest: modelManifestSchema,
  cost: batchCostSchema.nullable(),
  residentBytes: z.int(),
  /** What the warm-up left; null: it generates nothing. */
  generation: generationFiguresSchema.nullable(),
})

/** What an engine says of its batches. */
export interface EngineAnswers {
  kind: 'answers'
  answers: readonly EngineAnswer[]
  /** The session runs that it took, retries of a failed batch's parts among them. */
  runs: readonly BatchRun[]
  /** The batches that were answered in one run, explained. */
  launches: readonly Launch[]
  /** Ids of the batch that runs next, as in a `launch` message; empty: none yet. */
  launched: readonly string[]
  /** CPU time of the process since its start. */
  cpuSeconds: number
  /** The most jobs of a batch from now on: less than the model's where its device ran out of memory. */
  batchLimit: number
  /** What a launch costs, as learned so far; null where answers take many runs. */
  cost: BatchCost | null
  residentBytes: number
  /** Sums since the process began, and what is so now; null: it generates nothing. */
  generation: GenerationFigures | null
}

/** What an engine says to its pool. */
export type FromEngine =
  | z.infer<typeof readySchema>
  /** What it does before it is ready; it says so before it begins with it, as it can't speak meanwhile. */
  | { kind: 'loading'; loading: LoadStep }
  /** The model can't be loaded; the engine ends. `passing`: trying the same files again may help (see isPassing). */
  | { kind: 'unavailable'; detail: string; cause: string | null; passing: boolean }
  /** These jobs run now: if the engine dies before it answers, one of them is to blame. */
  | { kind: 'launch'; ids: readonly string[] }
  /** Of the jobs that asked for it, after a step. */
  | { kind: 'tokens'; tokens: readonly EngineText[] }
  | EngineAnswers

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
  /** The most bytes of images' features that are kept for later questions about them; 0: none. */
  featureCacheBytes: z.int().min(0).optional(),
  /** The most bytes of keys and values that running conversations have. */
  generationCacheBytes: z.int().min(1).optional(),
  /** After so long the warm-up tries no larger batch. */
  warmUpLimitMs: z.int().min(1).optional(),
  /** Whether code in the model's folder may be its task. */
  modelCode: z.boolean().optional(),
  execution: executionOptionsSchema.optional(),
  /** What a job's batch, and the one before it, may take together; 0 or absent: no objective. */
  latencyObjectiveMs: z.int().min(0).optional(),
  /** Near so much resident memory the engine makes its batches smaller; 0 or absent: no limit. */
  memoryLimitBytes: z.int().min(0).optional(),
})
export type EngineOptions = z.infer<typeof engineOptionsSchema>
