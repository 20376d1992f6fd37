import { type CachedAnswer, finalJob, inputOfParts, type QueuedJob, reusedAnswer } from '@vision-queue/queue'
import {
  errorTable,
  type FinalJob,
  type ModelManifest,
  toVisionQueueError,
  VisionQueueError,
} from '@vision-queue/protocol'
import { jobFields, type Retention } from '@vision-queue/process'
import { type EnginePool, HandedBackError, type InferenceResult } from '@vision-queue/engine-pool'
import { answerDigest } from '@vision-queue/queue'
import type {
  Cancellations,
  Delivery,
  Disposition,
  PoisonStore,
  ResultStore,
  TextPublisher,
} from '@vision-queue/queue/worker'
import type { Logger } from 'pino'

import { logEndedJob } from './ended-job-log.ts'
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
  openText: (job: QueuedJob) => TextPublisher
  /** The images that crashed an engine lately. */
  poison: PoisonStore
  suspects: SuspectGate
  /** Tells of jobs that are held here and were canceled elsewhere. */
  cancellations: Cancellations
  /** Answers that jobs in flight share; null: every job is computed. */
  shared: SharedAnswers<Answer> | null
  retention: Retention
  /** See MAX_STALLS. */
  maxStalls: number
  /** See MAX_ATTEMPTS. */
  maxAttempts: number
  /** Told of every job that reached its final state here. */
  onFinished: (final: FinalJob) => void
  log: Logger
}

/**
 * The consumer's part of a job, from the queue to the stored result. A failure of the job itself
 * is a result like any other; this rejects only when the result could not be stored, and then
 * BullMQ delivers the job again.
 */
// oxlint-disable-next-line max-lines-per-function -- until the redesign of this room lands
export function createJobProcessor(options: ProcessJobOptions): (delivery: Delivery) => Promise<Disposition> {
  const { choosePool, results, poison, suspects, cancellations, shared, log } = options

  const finish = async (
    job: QueuedJob,
    final: FinalJob,
    digest: string | null,
    cause?: unknown,
  ): Promise<Disposition> => {
    if (await results.finish(job, final, digest)) {
      options.onFinished(final)
      logEndedJob(log, job, final, cause)
    }
    return { kind: 'done' }
  }

  const fail = async (
    job: QueuedJob,
    { attempts, startedAt }: Delivery,
    error: VisionQueueError,
    version: string | null = null,
  ): Promise<Disposition> => {
    if (error.code === 'engine_crashed') await poison.add(job)
    const status = error.code === 'deadline_exceeded' ? 'expired' : 'failed'
    const ending = { status, error: error.toJobError(), version, startedAt, attempts } as const
    return finish(job, finalJob(job, ending, options.retention.failedResultTtlMs), null, error.cause)
  }

  /** Who canceled it has written that; this is for a word that came without. */
  const cancel = async (job: QueuedJob, { attempts, startedAt }: Delivery): Promise<Disposition> =>
    finish(job, finalJob(job, { status: 'canceled', attempts, startedAt }, options.retention.failedResultTtlMs), null)

  /** Rejects with what the job ends as, or HandedBackError. */
  const compute = async (
    job: QueuedJob,
    delivery: Delivery,
    { manifest, run }: ChosenPool,
    { digest, alone, signal }: { digest: string | null; alone: boolean; signal: AbortSignal },
  ): Promise<Answer> => {
    const [images, poisonous, kept] = await Promise.all([
      delivery.readBlobs(job),
      poison.has(job),
      digest === null ? null : results.readAnswer(job.model, digest),
    ])
    if (kept !== null) return { kept, result: null }
    if (poisonous)
      throw new VisionQueueError('engine_crashed', 'This image crashed an engine lately; it is refused for now.')
    if (images === null) throw new VisionQueueError('payload_expired', 'The image had expired before the job ran.')
    const text = options.openText(job)
    try {
      const { id, context, parameters, deadlineAt } = job
      const input = inputOfParts(job)
      const request = { id, context, images, input, parameters, deadlineAt, alone, signal }
      const result = await run({ ...request, onTokens: text.add })
      const { output, variant } = result
      return { kept: { output, variant, version: manifest.version }, result }
    } finally {
      text.end()
    }
  }

  const infer = async (
    job: QueuedJob,
    delivery: Delivery,
    { alone, signal }: { alone: boolean; signal: AbortSignal },
  ): Promise<Disposition> => {
    const pool = choosePool(job)
    // It was just taken out. Each time longer, as nobody may have it for long.
    if (pool === null) return { kind: 'delay', delayMs: Math.min(30_000, 250 * 2 ** delivery.attempts) }
    const { manifest } = pool
    // Only a hint for watchers: the job must not wait for it, nor fail with it.
    results
      .announceRunning(job.id, delivery.startedAt, delivery.attempts)
      .catch((error: unknown) =>
        log.warn({ ...jobFields(job), error: String(error) }, 'A change could not be published'),
      )
    let final: FinalJob
    let keepUnder: string | null = null
    try {
      // A suspect stands for itself.
      const digest =
        shared !== null && job.cache && manifest.cacheable === true && !alone ? answerDigest(manifest, job) : null
      const run = async (wanted: AbortSignal): Promise<Answer> =>
        compute(job, delivery, pool, { digest, alone, signal: wanted })
      const { answer, own } =
        shared === null || digest === null
          ? { answer: await run(signal), own: true }
          : await shared.answer(digest, run, signal)
      const result = own ? answer.result : null
      final = answered(job, delivery, answer.kept, result, options.retention.resultTtlMs)
      if (result !== null) keepUnder = digest
    } catch (error) {
      if (signal.aborted) return cancel(job, delivery)
      if (error instanceof HandedBackError) return { kind: 'hand-back' }
      const failure = toVisionQueueError(error, 'inference_failed')
      if (mayPass(failure) && delivery.attempts < options.maxAttempts) {
        log.info(
          { ...jobFields(job), code: failure.code, cause: failure.cause, attempts: delivery.attempts },
          'An attempt failed; the job waits for another',
        )
        return { kind: 'delay', delayMs: backoffMs(delivery.attempts) }
      }
      return fail(job, delivery, failure, manifest.version)
    }
    return finish(job, final, keepUnder)
  }

  const hold = async (job: QueuedJob, work: (signal: AbortSignal) => Promise<Disposition>): Promise<Disposition> => {
    const held = cancellations.hold(job.id)
    try {
      return await work(held.signal)
    } finally {
      held.release()
    }
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
    if (stalls < 2) return hold(job, async (signal) => infer(job, delivery, { alone: false, signal }))
    if (stalls >= options.maxStalls) {
      const detail = `The process that ran this job died ${stalls} times while it did.`
      return fail(job, delivery, new VisionQueueError('engine_crashed', detail))
    }
    return suspects.enter(async () => hold(job, async (signal) => infer(job, delivery, { alone: true, signal })))
  }
}

/** Whether the failure is not the job's own, and another attempt may go better. */
function mayPass({ code }: VisionQueueError): boolean {
  return errorTable[code].retryable && code !== 'deadline_exceeded'
}

/** Spread, so that jobs that failed together don't come back together. */
function backoffMs(attempts: number): number {
  return Math.min(30_000, 500 * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2)
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
