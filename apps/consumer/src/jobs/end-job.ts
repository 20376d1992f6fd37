import { finalJob, type QueuedJob } from '@vision-queue/queue'
import type { FinalJob, VisionQueueError } from '@vision-queue/protocol'
import type { Retention } from '@vision-queue/process'
import type { Delivery, Disposition, PoisonStore, ResultStore } from '@vision-queue/queue/worker'
import type { Logger } from 'pino'

import type { JobWork } from '../observe/job-work.ts'
import type { JobTracing } from '../observe/trace-jobs.ts'
import { logEndedJob } from './ended-job-log.ts'
import type { TimedRun } from './run-job.ts'

export interface JobEndOptions {
  results: Pick<ResultStore, 'endOf'>
  poison: PoisonStore
  retention: Retention
  /** Told of every job that reached its final state here. */
  onFinished: (final: FinalJob) => void
  work: JobWork
  traces: JobTracing
  log: Logger
}

/**
 * Has the answer of a job stored as it leaves the queue. `digest`: the name under which it is kept for others; `run`: of
 * its own, null where another's answer served.
 */
export function finishJob(
  options: JobEndOptions,
  job: QueuedJob,
  final: FinalJob,
  { digest, run }: { digest: string | null; run: TimedRun | null },
): Disposition {
  return endJob(options, job, final, { digest, run })
}

/** Has a job's final state stored as it leaves the queue, unless it has one already. */
function endJob(
  options: JobEndOptions,
  job: QueuedJob,
  final: FinalJob,
  { digest = null, run = null, cause }: { digest?: string | null; run?: TimedRun | null; cause?: unknown } = {},
): Disposition {
  const endedAt = performance.now()
  const { steps, settle } = options.results.endOf(job, final, digest)
  return {
    kind: 'done',
    ending: {
      steps,
      async settle(replies) {
        if (!(await settle(replies))) return
        options.onFinished(final)
        const ended = run === null ? null : { ...run, deliveryMs: performance.now() - endedAt }
        options.work.ended(job, final, ended)
        options.traces.ended(job, final, ended)
        logEndedJob(options.log, job, final, cause)
      },
    },
  }
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
  return endJob(options, job, final, { cause: error.cause })
}

/** The process that canceled a job has written its final state. This is for the case that only its message came. */
export function endCanceledJob(options: JobEndOptions, job: QueuedJob, { attempts, startedAt }: Delivery): Disposition {
  const final = finalJob(job, { status: 'canceled', attempts, startedAt }, options.retention.failedResultTtlMs)
  return endJob(options, job, final)
}
