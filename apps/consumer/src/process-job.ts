import {
  type CachedAnswer,
  type FinalJob,
  finalJob,
  type ModelManifest,
  type QueuedJob,
  reusedAnswer,
  toVisionQueueError,
  VisionQueueError,
} from '@vision-queue/jobs'
import { type EnginePool, HandedBackError, type InferenceResult } from '@vision-queue/model-runtime'
import {
  answerDigest,
  type Delivery,
  type Disposition,
  type ResultStore,
  type TextPublisher,
} from '@vision-queue/transport'
import type { Logger } from 'pino'

import type { SharedAnswers } from './shared-answers.ts'
import type { SuspectGate } from './suspect-gate.ts'

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

export interface ProcessJobOptions {
  /** The version that is to run the job, as things are now; null: none here. */
  choosePool: (job: QueuedJob) => ChosenPool | null
  results: ResultStore
  /** Opens the way to a job's watchers for an answer that is being generated. */
  openText: (id: string) => TextPublisher
  suspects: SuspectGate
  /** Answers that jobs in flight share; null: every job is computed. */
  shared: SharedAnswers<Answer> | null
  resultTtlMs: number
  /** See MAX_STALLS. */
  maxStalls: number
  /** Told of every job that reached its final state here. */
  onFinished: (final: FinalJob) => void
  log: Logger
}

/**
 * The consumer's part of a job, from the queue to the stored result. A failure of the job itself
 * is a result like any other; this rejects only when the result could not be stored, and then
 * BullMQ delivers the job again.
 */
export function createJobProcessor(options: ProcessJobOptions): (delivery: Delivery) => Promise<Disposition> {
  const { choosePool, results, suspects, shared, log } = options

  const finish = async (job: QueuedJob, final: FinalJob, digest: string | null): Promise<Disposition> => {
    if (await results.finish(job, final, digest)) options.onFinished(final)
    return { kind: 'done' }
  }

  const fail = async (
    job: QueuedJob,
    { attempts, startedAt }: Delivery,
    error: VisionQueueError,
    version: string | null = null,
  ): Promise<Disposition> => {
    log.info({ id: job.id, code: error.code, cause: error.cause }, 'Job failed')
    const status = error.code === 'deadline_exceeded' ? 'expired' : 'failed'
    const ending = { status, error: error.toJobError(), version, startedAt, attempts } as const
    return finish(job, finalJob(job, ending, options.resultTtlMs), null)
  }

  /** Rejects with what the job ends as, or HandedBackError. */
  const compute = async (
    job: QueuedJob,
    delivery: Delivery,
    { manifest, run }: ChosenPool,
    { digest, alone }: { digest: string | null; alone: boolean },
  ): Promise<Answer> => {
    const [image, kept] = await Promise.all([
      delivery.readPayload(job),
      digest === null ? null : results.readAnswer(job.model, digest),
    ])
    if (kept !== null) return { kept, result: null }
    if (image === null) throw new VisionQueueError('payload_expired', 'The image had expired before the job ran.')
    const text = options.openText(job.id)
    try {
      const { input, parameters, deadlineAt } = job
      const result = await run({ id: job.id, image, input, parameters, deadlineAt, alone, onTokens: text.add })
      const { output, variant } = result
      return { kept: { output, variant, version: manifest.version }, result }
    } finally {
      text.end()
    }
  }

  const infer = async (job: QueuedJob, delivery: Delivery, alone: boolean): Promise<Disposition> => {
    const pool = choosePool(job)
    // It was just taken out. Each time longer, as nobody may have it for long.
    if (pool === null) return { kind: 'delay', delayMs: Math.min(30_000, 250 * 2 ** delivery.attempts) }
    const { manifest } = pool
    // Only a hint for watchers: the job must not wait for it, nor fail with it.
    results
      .announceRunning(job.id, delivery.startedAt, delivery.attempts)
      .catch((error: unknown) => log.warn({ id: job.id, error: String(error) }, 'A change could not be published'))
    let final: FinalJob
    let keepUnder: string | null = null
    try {
      // A suspect stands for itself.
      const digest =
        shared !== null && job.cache && manifest.cacheable === true && !alone ? answerDigest(manifest, job) : null
      const run = async (): Promise<Answer> => compute(job, delivery, pool, { digest, alone })
      const { answer, own } =
        shared === null || digest === null ? { answer: await run(), own: true } : await shared.answer(digest, run)
      const result = own ? answer.result : null
      final = answered(job, delivery, answer.kept, result, options.resultTtlMs)
      if (result !== null) keepUnder = digest
    } catch (error) {
      if (error instanceof HandedBackError) return { kind: 'hand-back' }
      return fail(job, delivery, toVisionQueueError(error, 'inference_failed'), manifest.version)
    }
    return finish(job, final, keepUnder)
  }

  return async (delivery) => {
    const { job, stalls } = delivery
    // Perhaps a newer release's job: its consumers understand it.
    if (job === null) return { kind: 'delay', delayMs: 5000 }
    if (delivery.attempts > 1) {
      // An earlier attempt may have got as far as its result.
      const stored = await results.read(job.id)
      if (stored !== null) {
        await results.finish(job, stored)
        return { kind: 'done' }
      }
    }
    if (job.deadlineAt !== null && job.deadlineAt <= Date.now()) {
      return fail(job, delivery, new VisionQueueError('deadline_exceeded', 'The deadline passed before the job ran.'))
    }
    // Once is most likely the machine, a deployment or a neighbour.
    if (stalls < 2) return infer(job, delivery, false)
    if (stalls >= options.maxStalls) {
      const detail = `The process that ran this job died ${stalls} times while it did.`
      return fail(job, delivery, new VisionQueueError('engine_crashed', detail))
    }
    return suspects.enter(async () => infer(job, delivery, true))
  }
}

/** The final form of a job that has its answer: by a run of its own, or with `result` null by another's. */
function answered(
  job: QueuedJob,
  { startedAt, attempts }: Delivery,
  answer: Answer['kept'],
  result: InferenceResult | null,
  resultTtlMs: number,
): FinalJob {
  if (result === null) return reusedAnswer(job, answer, { startedAt, attempts, resultTtlMs })
  const metrics = {
    // Clocks of two machines may disagree by more than the wait.
    queue_ms: Math.max(0, startedAt - job.createdAt),
    preprocess_ms: round(result.preprocessMs),
    inference_ms: round(result.inferenceMs),
    batch_size: result.batchSize,
    total_ms: Math.max(0, Date.now() - job.createdAt),
  }
  return finalJob(job, { status: 'succeeded', ...answer, metrics, startedAt, attempts }, resultTtlMs)
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100
}
