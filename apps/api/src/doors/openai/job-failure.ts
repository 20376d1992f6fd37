import { type FinalJob, VisionQueueError } from '@vision-queue/protocol'

/** What a job that ended without an answer is answered with; null: it has one. */
export function failureOf({ status, error }: FinalJob): VisionQueueError | null {
  switch (status) {
    case 'succeeded':
      return null
    case 'canceled':
      return new VisionQueueError('job_canceled', 'The job was canceled before it had an answer.')
    case 'failed':
    case 'expired':
      return error === null
        ? new VisionQueueError('internal_error', 'The job ended without an answer.')
        : new VisionQueueError(error.code, error.message)
    default:
      return status satisfies never
  }
}
