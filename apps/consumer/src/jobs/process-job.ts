import { finalJob, type QueuedJob, reusedAnswer } from '@vision-queue/queue'
import { errorTable, type FinalJob, toVisionQueueError, VisionQueueError } from '@vision-queue/protocol'
import { jobFields } from '@vision-queue/process'
import { HandedBackError, type InferenceResult } from '@vision-queue/engine-pool'
import type { Cancellations, Delivery, Disposition, ResultStore } from '@vision-queue/queue/worker'

import { endCanceledJob, failJob, finishJob, type JobEndOptions } from './end-job.ts'
import {
  type Answer,
  type ChosenPool,
  runJob,
  type RunJobContext,
  type RunJobOptions,
  type TimedRun,
} from './run-job.ts'
import type { SuspectGate } from './suspect-gate.ts'

export interface ProcessJobOptions extends RunJobOptions, JobEndOptions {
  /** The version that is to run the job, as things are now; null: none here. */
  choosePool: (job: QueuedJob) => ChosenPool | null
  results: ResultStore
  suspects: SuspectGate
  /** Tells of jobs that are held here and were canceled elsewhere. */
  cancellations: Cancellations
  /** See MAX_STALLS. */
  maxStalls: number
  /** See MAX_ATTEMPTS. */
  maxAttempts: number
}

/**
 * The consumer's part of a job, from the queue to the stored result. A failure of the job itself
 * is a result like any other; this rejects only when such a result could not be stored, and then
 * BullMQ delivers the job again. An answer is stored as the job leaves the queue.
 */
export function createJobProcessor(options: ProcessJobOptions): (delivery: Delivery) => Promise<Disposition> {
  const { results, suspects, cancellations } = options

  const run = async (job: QueuedJob, delivery: Delivery, alone: boolean): Promise<Disposition> => {
    const held = cancellations.hold(job.id)
    try {
      return await infer(options, job, delivery, { alone, signal: held.signal })
    } finally {
      held.release()
    }
  }

  return async (delivery) => {
    const { job, stalls } = delivery
    // A newer release may have queued it. The consumers of that release understand it.
    if (job === null) return { kind: 'delay', delayMs: 5000 }
    options.work.taken(job.model, delivery)
    if (delivery.attempts > 1) {
      // An earlier attempt may have got as far as its result.
      const stored = await results.read(job.id)
      if (stored !== null) {
        await results.finish(job, stored)
        return { kind: 'done' }
      }
    }
    if (job.deadlineAt !== null && job.deadlineAt <= Date.now()) {
      const error = new VisionQueueError('deadline_exceeded', 'The deadline passed before the job ran.')
      return failJob(options, job, delivery, { error })
    }
    // If its consumer died once, then most likely because of the machine, a deployment or another job.
    if (stalls < 2) return run(job, delivery, false)
    if (stalls >= options.maxStalls) {
      const detail = `The process that ran this job died ${stalls} times while it did.`
      return failJob(options, job, delivery, { error: new VisionQueueError('engine_crashed', detail) })
    }
    return suspects.enter(async () => run(job, delivery, true))
  }
}

async function infer(
  options: ProcessJobOptions,
  job: QueuedJob,
  delivery: Delivery,
  context: RunJobContext,
): Promise<Disposition> {
  const pool = options.choosePool(job)
  // It was just taken out. Each time longer, as nobody may have it for long.
  if (pool === null) return { kind: 'delay', delayMs: Math.min(30_000, 250 * 2 ** delivery.attempts) }
  // Only a hint for watchers: the job must not wait for it, nor fail with it.
  options.results
    .announceRunning(job.id, delivery.startedAt, delivery.attempts)
    .catch((error: unknown) =>
      options.log.warn({ ...jobFields(job), error: String(error) }, 'A change could not be published'),
    )
  let final: FinalJob
  let digest: string | null = null
  let own: TimedRun | null = null
  try {
    const ran = await runJob(options, job, delivery, { pool, ...context })
    const result = ran.own ? ran.answer.result : null
    final = answered(job, delivery, ran.answer.kept, result, options.retention.resultTtlMs)
    own = result
    if (result !== null) digest = ran.digest
  } catch (error) {
    if (context.signal.aborted) return endCanceledJob(options, job, delivery)
    if (error instanceof HandedBackError) return { kind: 'hand-back' }
    const failure = toVisionQueueError(error, 'inference_failed')
    if (mayPass(failure) && (delivery.attempts < options.maxAttempts || isOfStorage(failure))) {
      options.log.info(
        { ...jobFields(job), code: failure.code, cause: failure.cause, attempts: delivery.attempts },
        'An attempt failed; the job waits for another',
      )
      return { kind: 'delay', delayMs: backoffMs(delivery.attempts) }
    }
    return failJob(options, job, delivery, { error: failure, version: pool.manifest.version })
  }
  return finishJob(options, job, final, { digest, run: own })
}

/** Whether the failure is not the job's own, and another attempt may go better. */
function mayPass({ code }: VisionQueueError): boolean {
  return errorTable[code].retryable && code !== 'deadline_exceeded'
}

/** Whether images could not be read: that says nothing of the job, however often it happens. */
function isOfStorage({ code }: VisionQueueError): boolean {
  return code === 'queue_unavailable'
}

/** Spread, so that jobs that failed together don't come back together. */
function backoffMs(attempts: number): number {
  return Math.min(30_000, 500 * 2 ** Math.min(attempts - 1, 16)) * (0.5 + Math.random() / 2)
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
