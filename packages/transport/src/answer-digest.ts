import { createHash } from 'node:crypto'

import type { ModelManifest, QueuedJob } from '@vision-queue/jobs'
import type { z } from 'zod'

/**
 * Names what a job asks, and of what: two jobs with one digest have the same answer. SHA-256 over version,
 * variant, the model's files, the image's hash, and input and parameters with their keys in order; texts
 * count to the letter, as a tokenizer may see any difference.
 */
export function answerDigest(
  { version, variant, fingerprint }: Pick<ModelManifest, 'version' | 'variant' | 'fingerprint'>,
  { image, input, parameters }: Pick<QueuedJob, 'image' | 'input' | 'parameters'>,
): string {
  const asked = JSON.stringify([version, variant, fingerprint ?? '', image.hash, inOrder(input), inOrder(parameters)])
  return createHash('sha256').update(asked).digest('base64url')
}

type Json = z.infer<ReturnType<typeof z.json>>

function inOrder(value: Json): Json {
  if (Array.isArray(value)) return value.map(inOrder)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).map(([key, inner]) => [key, inOrder(inner)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
