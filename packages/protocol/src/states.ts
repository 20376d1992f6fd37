import { z } from 'zod'

/**
 * The states of a job: `queued -> running -> succeeded | failed | canceled | expired`.
 * A running job goes back to `queued` when its consumer dies or hands it back. Final states
 * never change: a redelivered job keeps its first result.
 */
export const jobStatusSchema = z.enum(['queued', 'running', 'succeeded', 'failed', 'canceled', 'expired'])
export type JobStatus = z.infer<typeof jobStatusSchema>

export const finalStatusSchema = z.enum(['succeeded', 'failed', 'canceled', 'expired'])
export type FinalStatus = z.infer<typeof finalStatusSchema>

/** Whether a job in this state can still change. */
export function isFinal(status: JobStatus): status is FinalStatus {
  switch (status) {
    case 'succeeded':
    case 'failed':
    case 'canceled':
    case 'expired':
      return true
    case 'queued':
    case 'running':
      return false
    default:
      return status satisfies never
  }
}
