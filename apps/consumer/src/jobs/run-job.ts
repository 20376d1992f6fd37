import { answerDigest, blobsOf, type CachedAnswer, inputOfParts, type QueuedJob } from '@vision-queue/queue'
import {
  type EnginePool,
  ImagesUnreadError,
  type InferenceRequest,
  type InferenceResult,
} from '@vision-queue/engine-pool'
import { jobFields, type JobSignal } from '@vision-queue/process'
import { type ModelManifest, VisionQueueError } from '@vision-queue/protocol'
import { createLogLimit } from '@vision-queue/redis'
import type { Logger } from 'pino'
import type { Delivery, PoisonStore, ResultStore, TextPublisher } from '@vision-queue/queue/worker'

import type { SharedAnswers } from './shared-answers.ts'

/** Where engines can't read at all, a line for each job would fill the log. */
const unreadLimit = createLogLimit()

/** Taken just before it is run on: a moment later another one may have taken over. */
export interface ChosenPool {
  manifest: ModelManifest
  /** Whether its engines can be given addresses of images, where there is a place to read them; else they get the bytes. */
  readsImages: boolean
  run: EnginePool['run']
}

/** A run with what it took beside its engine's work, in milliseconds. */
export interface TimedRun extends InferenceResult {
  /** To read from Redis here what the job needs. */
  fetchMs: number
  /** For an engine, and there for its batch. */
  batchWaitMs: number
}

/** What others who ask the same are given, and the run that it came from; null: it was kept from before. */
export interface Answer {
  kept: Omit<CachedAnswer, 'expiresAt'>
  result: TimedRun | null
}

export interface RunJobOptions {
  results: Pick<ResultStore, 'readAnswer'>
  /** Opens the way to a job's watchers for an answer that is being generated. */
  openText: (job: QueuedJob) => TextPublisher
  /** The images that crashed an engine lately. */
  poison: PoisonStore
  /** Answers that jobs in flight share; null: every job is computed. */
  shared: SharedAnswers<Answer> | null
  /** Whether the engines can read the blobs themselves; else they are given the bytes. */
  enginesReadBlobs: boolean
  /** Which images are objects outside of Redis, and how long an engine waits for one. Null: none is. */
  objects: ObjectImages | null
  log: Logger
}

export interface ObjectImages {
  /** Whether an image of so many bytes stands in Redis. */
  isInline: (bytes: number) => boolean
  waitMs: number
}

/** How a job is run: by itself, without a share in what others ask, if it is a suspect. */
export interface RunJobContext {
  alone: boolean
  signal: JobSignal
}

/**
 * The answer to a job: kept from before, computed by another job that asks the same right now (`own` is false), or by
 * its own run. `digest`: the name under which others may have it, null: under none. Rejects with what the job ends as, or HandedBackError.
 */
export async function runJob(
  options: RunJobOptions,
  job: QueuedJob,
  delivery: Delivery,
  { pool, alone, signal }: RunJobContext & { pool: ChosenPool },
): Promise<{ answer: Answer; own: boolean; digest: string | null }> {
  const { shared } = options
  const { manifest } = pool
  // What a suspect does must not reach others.
  const mayShare = shared !== null && job.cache && manifest.cacheable === true && !alone
  const digest = mayShare ? answerDigest(manifest, job) : null
  const run = async (wanted: JobSignal): Promise<Answer> =>
    compute(options, job, delivery, { pool, digest, alone, signal: wanted })
  if (shared === null || digest === null) return { answer: await run(signal), own: true, digest }
  return { ...(await shared.answer(digest, run, signal)), digest }
}

async function compute(
  { results, openText, poison, enginesReadBlobs, objects, log }: RunJobOptions,
  job: QueuedJob,
  delivery: Delivery,
  { pool, digest, alone, signal }: RunJobContext & { pool: ChosenPool; digest: string | null },
): Promise<Answer> {
  const startedAt = performance.now()
  const [images, poisonous, kept] = await Promise.all([
    pool.readsImages ? imagesOf(job, delivery, { enginesReadBlobs, objects }) : delivery.readBlobs(job),
    poison.has(job),
    digest === null ? null : results.readAnswer(job, digest),
  ])
  if (kept !== null) return { kept, result: null }
  if (poisonous) {
    throw new VisionQueueError('engine_crashed', 'This image crashed an engine lately; it is refused for now.')
  }
  const text = openText(job)
  const runAt = performance.now()
  try {
    const { id, context, parameters, priority, deadlineAt } = job
    const input = inputOfParts(job)
    const request = { id, context, input, parameters, priority, deadlineAt, alone, signal, onTokens: text.add }
    const run = async (read: InferenceRequest['images'] | null): Promise<InferenceResult> => {
      if (read === null) throw new VisionQueueError('payload_expired', 'The image had expired before the job ran.')
      return pool.run({ ...request, images: read })
    }
    const result = await run(images).catch(async (error: unknown) => {
      if (!(error instanceof ImagesUnreadError)) throw error
      // Our own connection waits until Redis is back, however long that takes, and has other rights.
      if (unreadLimit.admits(error)) {
        log.warn({ ...jobFields(job), cause: error.cause }, 'An engine could not read an image; it gets the bytes')
      }
      return run(await delivery.readBlobs(job))
    })
    const batchWaitMs = Math.max(0, performance.now() - runAt - result.preprocessMs - result.inferenceMs)
    return {
      kept: { output: result.output, variant: result.variant, version: pool.manifest.version },
      result: { ...result, fetchMs: runAt - startedAt, batchWaitMs },
    }
  } finally {
    text.end()
  }
}

/** The job's images as an engine gets them: bytes, or where to read them; null where one is gone. */
async function imagesOf(
  job: QueuedJob,
  delivery: Delivery,
  { enginesReadBlobs, objects }: Pick<RunJobOptions, 'enginesReadBlobs' | 'objects'>,
): Promise<InferenceRequest['images'] | null> {
  const blobs = blobsOf(job)
  if (objects !== null && blobs.some(({ bytes }) => !objects.isInline(bytes))) {
    const handed = await delivery.handOverBlobs(job)
    return (
      handed?.flatMap((image, index) => {
        const { hash, bytes } = blobs[index] ?? { hash: '', bytes: 0 }
        return [typeof image === 'string' ? { url: image, hash, bytes, timeoutMs: objects.waitMs } : image]
      }) ?? null
    )
  }
  return (enginesReadBlobs ? imageAddresses(job) : null) ?? (await delivery.readBlobs(job))
}

/** Where the job's images are, each as often as the job names it; null where a release before has put some elsewhere. */
function imageAddresses(job: QueuedJob): InferenceRequest['images'] | null {
  const blobs = blobsOf(job)
  if (blobs.some(({ old }) => old !== undefined)) return null
  return blobs.map(({ hash, bytes }) => ({ space: job.answersOf, hash, bytes }))
}
