import { answerDigest, type CachedAnswer, inputOfParts, type QueuedJob } from '@vision-queue/queue'
import type { EnginePool, InferenceResult } from '@vision-queue/engine-pool'
import { type ModelManifest, VisionQueueError } from '@vision-queue/protocol'
import type { Delivery, PoisonStore, ResultStore, TextPublisher } from '@vision-queue/queue/worker'

import type { SharedAnswers } from './shared-answers.ts'

/** Taken just before it is run on: a moment later another one may have taken over. */
export interface ChosenPool {
  manifest: ModelManifest
  run: EnginePool['run']
}

/** What others who ask the same are given, and the run that it came from; null: it was kept from before. */
export interface Answer {
  kept: Omit<CachedAnswer, 'expiresAt'>
  result: InferenceResult | null
}

export interface RunJobOptions {
  results: Pick<ResultStore, 'readAnswer'>
  /** Opens the way to a job's watchers for an answer that is being generated. */
  openText: (job: QueuedJob) => TextPublisher
  /** The images that crashed an engine lately. */
  poison: PoisonStore
  /** Answers that jobs in flight share; null: every job is computed. */
  shared: SharedAnswers<Answer> | null
}

/** How a job is run: by itself, without a share in what others ask, if it is a suspect. */
export interface RunJobContext {
  alone: boolean
  signal: AbortSignal
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
  const run = async (wanted: AbortSignal): Promise<Answer> =>
    compute(options, job, delivery, { pool, digest, alone, signal: wanted })
  if (shared === null || digest === null) return { answer: await run(signal), own: true, digest }
  return { ...(await shared.answer(digest, run, signal)), digest }
}

async function compute(
  { results, openText, poison }: RunJobOptions,
  job: QueuedJob,
  delivery: Delivery,
  { pool, digest, alone, signal }: RunJobContext & { pool: ChosenPool; digest: string | null },
): Promise<Answer> {
  const [images, poisonous, kept] = await Promise.all([
    delivery.readBlobs(job),
    poison.has(job),
    digest === null ? null : results.readAnswer(job.model, digest),
  ])
  if (kept !== null) return { kept, result: null }
  if (poisonous) {
    throw new VisionQueueError('engine_crashed', 'This image crashed an engine lately; it is refused for now.')
  }
  if (images === null) throw new VisionQueueError('payload_expired', 'The image had expired before the job ran.')
  const text = openText(job)
  try {
    const { id, context, parameters, deadlineAt } = job
    const request = { id, context, images, input: inputOfParts(job), parameters, deadlineAt, alone, signal }
    const result = await pool.run({ ...request, onTokens: text.add })
    return { kept: { output: result.output, variant: result.variant, version: pool.manifest.version }, result }
  } finally {
    text.end()
  }
}
