import type { ModelManifest } from '@vision-queue/protocol'
import type { QueuedJob } from './queued-job.ts'

import { jsonDigest } from './json-digest.ts'
import { blobsOf, inputOfParts } from './parts.ts'

/**
 * Names what a job asks, and of what: two jobs with one digest have the same answer. SHA-256 over version,
 * variant, the model's files, the hashes of the blobs in their order, input and parameters with their keys in order,
 * and whose answers may serve, so that nobody tells from a quick answer what another one asked. Texts count to the
 * letter, as a tokenizer may see any difference.
 */
export function answerDigest(
  { version, variant, fingerprint }: Pick<ModelManifest, 'version' | 'variant' | 'fingerprint'>,
  job: Pick<QueuedJob, 'parts' | 'input' | 'parameters' | 'answersOf'>,
): string {
  return jsonDigest([
    version,
    variant,
    fingerprint ?? '',
    blobsOf(job).map(({ name, hash }) => [name, hash]),
    inputOfParts(job),
    job.parameters,
    job.answersOf,
  ])
}
