import { type FinalJob, VisionQueueError } from '@vision-queue/protocol'
import { finalJob } from './job-forms.ts'
import type { QueuedJob } from './queued-job.ts'

/** The final state of a job whose deadline passed while it waited. */
export function expiredJob(job: QueuedJob, attempts: number, resultTtlMs: number): FinalJob {
  const error = new VisionQueueError('deadline_exceeded', 'The deadline passed before the job ran.')
  return finalJob(job, { status: 'expired', error: error.toJobError(), attempts }, resultTtlMs)
}

/** The final state of a job that no consumer could finish in any of its attempts. */
export function failedJob(job: QueuedJob, attempts: number, resultTtlMs: number): FinalJob {
  const error = new VisionQueueError('inference_failed', `The job could not be finished in ${attempts} attempts.`)
  return finalJob(job, { status: 'failed', error: error.toJobError(), attempts }, resultTtlMs)
}
