import {
  type FinalJob,
  finalJob,
  type JobEnding,
  type QueuedJob,
  toVisionQueueError,
  VisionQueueError,
} from '@vision-queue/jobs'
import { type EnginePool, HandedBackError } from '@vision-queue/model-runtime'
import type { Delivery, Disposition, ResultStore, TextPublisher } from '@vision-queue/transport'
import type { Logger } from 'pino'

import type { SuspectGate } from './suspect-gate.ts'

/** Taken just before it is run on: a moment later another one may have taken over. */
export interface ChosenPool {
  version: string
  run: EnginePool['run']
}

export interface ProcessJobOptions {
  /** The version that is to run the job, as things are now; null: none here. */
  choosePool: (job: QueuedJob) => ChosenPool | null
  results: ResultStore
  /** Opens the way to a job's watchers for an answer that is being generated. */
  openText: (id: string) => TextPublisher
  suspects: SuspectGate
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
  const { choosePool, results, suspects, log } = options

  const finish = async (
    job: QueuedJob,
    delivery: Delivery,
    ending: Omit<JobEnding, 'attempts'>,
  ): Promise<Disposition> => {
    const { attempts, startedAt } = delivery
    const final = finalJob(job, { startedAt, attempts, ...ending }, options.resultTtlMs)
    if (await results.finish(job, final)) options.onFinished(final)
    return { kind: 'done' }
  }

  const fail = async (
    job: QueuedJob,
    delivery: Delivery,
    error: VisionQueueError,
    version: string | null = null,
  ): Promise<Disposition> => {
    log.info({ id: job.id, code: error.code, cause: error.cause }, 'Job failed')
    const status = error.code === 'deadline_exceeded' ? 'expired' : 'failed'
    return finish(job, delivery, { status, error: error.toJobError(), version })
  }

  const infer = async (job: QueuedJob, delivery: Delivery, alone: boolean): Promise<Disposition> => {
    const image = await delivery.readPayload(job)
    if (image === null) {
      return fail(job, delivery, new VisionQueueError('payload_expired', 'The image had expired before the job ran.'))
    }
    const pool = choosePool(job)
    // It was just taken out. Each time longer, as nobody may have it for long.
    if (pool === null) return { kind: 'delay', delayMs: Math.min(30_000, 250 * 2 ** delivery.attempts) }
    // Only a hint for watchers: the job must not wait for it, nor fail with it.
    results
      .announceRunning(job.id, delivery.startedAt, delivery.attempts)
      .catch((error: unknown) => log.warn({ id: job.id, error: String(error) }, 'A change could not be published'))
    const text = options.openText(job.id)
    try {
      const { input, parameters, deadlineAt } = job
      const onTokens = text.add
      const result = await pool.run({ id: job.id, image, input, parameters, deadlineAt, alone, onTokens })
      text.end()
      return await finish(job, delivery, {
        status: 'succeeded',
        version: pool.version,
        output: result.output,
        variant: result.variant,
        metrics: {
          // Clocks of two machines may disagree by more than the wait.
          queue_ms: Math.max(0, delivery.startedAt - job.createdAt),
          preprocess_ms: round(result.preprocessMs),
          inference_ms: round(result.inferenceMs),
          batch_size: result.batchSize,
          total_ms: Math.max(0, Date.now() - job.createdAt),
        },
      })
    } catch (error) {
      text.end()
      if (error instanceof HandedBackError) return { kind: 'hand-back' }
      return fail(job, delivery, toVisionQueueError(error, 'inference_failed'), pool.version)
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
    if (stalls < 2) return infer(job, delivery, false)
    if (stalls >= options.maxStalls) {
      const detail = `The process that ran this job died ${stalls} times while it did.`
      return fail(job, delivery, new VisionQueueError('engine_crashed', detail))
    }
    return suspects.enter(async () => infer(job, delivery, true))
  }
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100
}
