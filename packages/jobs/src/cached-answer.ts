import { createHash } from 'node:crypto'

import { z } from 'zod'

import type { ModelManifest } from './model.ts'
import type { QueuedJob } from './queued-job.ts'
import { type FinalJob, finalJob } from './job.ts'

/** An answer that is kept for later jobs which ask the same of the same model. */
export const cachedAnswerSchema = z.object({
  output: z.record(z.string(), z.json()),
  version: z.string(),
  variant: z.string(),
  /** Milliseconds since 1970. */
  expiresAt: z.int(),
})
export type CachedAnswer = z.infer<typeof cachedAnswerSchema>

/**
 * Names what a job asks, and of what: two jobs with one digest have the same answer. SHA-256 over version,
 * variant, the model's files, the image's hash, input and parameters with their keys in order, and whose answers
 * may serve, so that nobody learns from a quick answer what another one asked; texts
 * count to the letter, as a tokenizer may see any difference.
 */
export function answerDigest(
  { version, variant, fingerprint }: Pick<ModelManifest, 'version' | 'variant' | 'fingerprint'>,
  { image, input, parameters, answersOf }: Pick<QueuedJob, 'image' | 'input' | 'parameters' | 'answersOf'>,
): string {
  const model = [version, variant, fingerprint ?? '']
  const asked = JSON.stringify([...model, image.hash, inOrder(input), inOrder(parameters), answersOf])
  return createHash('sha256').update(asked).digest('base64url')
}

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

type Json = z.infer<ReturnType<typeof z.json>>

function inOrder(value: Json): Json {
  if (Array.isArray(value)) return value.map(inOrder)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).map(([key, inner]) => [key, inOrder(inner)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
