import { z } from 'zod'

import type { QueuedJob } from './queued-job.ts'
import type { FinalJob } from '@vision-queue/protocol'
import { finalJob } from './job-forms.ts'

/** An answer that is kept for later jobs which ask the same of the same model. */
export const cachedAnswerSchema = z.object({
  output: z.record(z.string(), z.json()),
  version: z.string(),
  variant: z.string(),
  /** Milliseconds since 1970. */
  expiresAt: z.int(),
})
export type CachedAnswer = z.infer<typeof cachedAnswerSchema>

/** The final form of a job that was answered without a run of its own. */
export function reusedAnswer(
  job: QueuedJob,
  { output, version, variant }: Omit<CachedAnswer, 'expiresAt'>,
  { attempts, startedAt = null, resultTtlMs }: { attempts: number; startedAt?: number | null; resultTtlMs: number },
): FinalJob {
  const totalMs = Math.max(0, Date.now() - job.createdAt)
  const metrics = { queue_ms: 0, preprocess_ms: 0, inference_ms: 0, batch_size: 0, total_ms: totalMs }
  return finalJob(
    job,
    { status: 'succeeded', output, version, variant, attempts, startedAt, metrics, cached: true },
    resultTtlMs,
  )
}
