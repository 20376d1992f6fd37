import type { ModelManifest } from '@vision-queue/protocol'
import type { QueuedJob } from './queued-job.ts'

import { jsonDigest } from './json-digest.ts'
import { blobsOf, inputOfParts } from './parts.ts'

/**
/**
 * Counts the releases that answer some question otherwise than the one before, such as after a fault in how images are
 * read. What an older release has kept is then not found any more. Raise it with every such change.
 */
const answersVersion = 3

/**
 * Names what a job asks, and of what: two jobs with one digest have the same answer. SHA-256 over how this
 * code answers, version, variant, the model's files, the hashes of the blobs in their order, input and parameters with
 * their keys in order, and whose answers may serve, so that nobody tells from a quick answer what another one asked. Texts count to the
 * letter, as a tokenizer may see any difference.
 */
export function answerDigest(
  { version, variant, fingerprint }: Pick<ModelManifest, 'version' | 'variant' | 'fingerprint'>,
  job: Pick<QueuedJob, 'parts' | 'input' | 'parameters' | 'answersOf'>,
): string {
  return jsonDigest([
    answersVersion,
    version,
    variant,
    fingerprint ?? '',
    blobsOf(job).map(({ name, hash }) => [name, hash]),
    inputOfParts(job),
    job.parameters,
    job.answersOf,
  ])
}
