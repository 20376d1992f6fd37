import { finalJob, type QueuedJob } from '@vision-queue/queue'
import type { FinalJob, VisionQueueError } from '@vision-queue/protocol'
import type { Retention } from '@vision-queue/process'
import type { Delivery, Disposition, PoisonStore, ResultStore } from '@vision-queue/queue/worker'
import type { Logger } from 'pino'

import { logEndedJob } from './ended-job-log.ts'

export interface JobEndOptions {
  results: Pick<ResultStore, 'finish'>
  poison: PoisonStore
  retention: Retention
  /** Told of every job that reached its final state here. */
  onFinished: (final: FinalJob) => void
  log: Logger
}

/** Stores a job's final state, unless it has one already, and logs it. `digest`: the name under which its answer is kept for others. */
export async function finishJob(
  { results, onFinished, log }: JobEndOptions,
  job: QueuedJob,
  final: FinalJob,
  { digest = null, cause }: { digest?: string | null; cause?: unknown } = {},
): Promise<Disposition> {
  if (await results.finish(job, final, digest)) {
    onFinished(final)
    logEndedJob(log, job, final, cause)
  }
  return { kind: 'done' }
}

export async function failJob(
  options: JobEndOptions,
  job: QueuedJob,
  { attempts, startedAt }: Delivery,
  { error, version = null }: { error: VisionQueueError; version?: string | null },
): Promise<Disposition> {
  if (error.code === 'engine_crashed') await options.poison.add(job)
  const status = error.code === 'deadline_exceeded' ? 'expired' : 'failed'
  const ending = { status, error: error.toJobError(), version, startedAt, attempts } as const
  const final = finalJob(job, ending, options.retention.failedResultTtlMs)
  return finishJob(options, job, final, { cause: error.cause })
}

/** The process that canceled a job has written its final state. This is for the case that only its message came. */
export async function endCanceledJob(
  options: JobEndOptions,
  job: QueuedJob,
  { attempts, startedAt }: Delivery,
): Promise<Disposition> {
  const final = finalJob(job, { status: 'canceled', attempts, startedAt }, options.retention.failedResultTtlMs)
  return finishJob(options, job, final)
}
