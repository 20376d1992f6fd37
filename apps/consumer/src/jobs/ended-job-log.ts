import { jobFields } from '@vision-queue/process'
import type { FinalJob } from '@vision-queue/protocol'
import type { QueuedJob } from '@vision-queue/queue'

/**
 * Writes the one line that a job leaves in the consumer's log if it reached its final state there. `message` says how
 * it ended, such as `Job succeeded`. Figures that a job without a run has not are null.
 */
export function logEndedJob(
  log: { info(fields: object, message: string): void },
  job: QueuedJob,
  final: FinalJob,
  cause?: unknown,
): void {
  const { metrics, started_at: startedAt } = final
  const fields = {
    ...jobFields(job),
    model: final.model,
    version: final.version,
    status: final.status,
    code: final.error?.code ?? null,
    attempts: final.attempts,
    // A failed job has no metrics, but it has waited.
    queue_ms: metrics?.queue_ms ?? (startedAt === null ? null : Math.max(0, Date.parse(startedAt) - job.createdAt)),
    preprocess_ms: metrics?.preprocess_ms ?? null,
    inference_ms: metrics?.inference_ms ?? null,
    batch_size: metrics?.batch_size ?? null,
    total_ms: metrics?.total_ms ?? Math.max(0, Date.now() - job.createdAt),
    cached: final.cached,
    ...(cause === undefined ? {} : { cause }),
  }
  log.info(fields, `Job ${final.status}`)
}
