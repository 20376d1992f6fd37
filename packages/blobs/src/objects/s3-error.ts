import type { BlobStoreTarget } from '@vision-queue/process'

import { ObjectStoreError } from './object-store.ts'

/** Whether S3 says that there is no such object; HEAD has no body to say it in. */
export function isMissingObject(error: unknown): boolean {
  return error instanceof Error && ['NoSuchKey', 'NotFound'].includes(error.name)
}

/** Whether S3 refuses to put an object where there is one, or where another is being put right now. */
export function isTakenObject(error: unknown): boolean {
  return error instanceof Error && ['PreconditionFailed', 'ConditionalRequestConflict'].includes(error.name)
}

/** What went wrong and what to look at, in a sentence without secrets; the cause is what the SDK has thrown. */
export function explainS3Error(
  cause: unknown,
  { bucket, region, endpoint }: Extract<BlobStoreTarget, { kind: 's3' }>,
): ObjectStoreError {
  const place = endpoint ?? `AWS in ${region}`
  const { name, status } = factsOf(cause)
  return new ObjectStoreError(`BLOB_STORE: ${sentence(name, status, bucket, place)}`, { cause })
}

function sentence(name: string, status: number | null, bucket: string, place: string): string {
  if (name === 'CredentialsProviderError') {
    return 'there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role.'
  }
  if (name === 'NoSuchBucket' || (name === 'NotFound' && status === 404)) {
    return `there is no bucket ${bucket} at ${place}.`
  }
  if (name === 'SignatureDoesNotMatch' || name === 'InvalidAccessKeyId') {
    return `${place} does not know these credentials (${name}).`
  }
  if (name === 'RequestTimeTooSkewed') return `the clocks here and at ${place} differ by too much: is NTP running?`
  if (status === 403) return `these credentials may not do this with the bucket ${bucket} at ${place}.`
  if (status === 301 || status === 307) return `the bucket ${bucket} lies in another region than ${region(place)}.`
  if (status !== null) return `${place} answered ${status} (${name}).`
  return `${place} does not answer (${name}).`
}

const region = (place: string): string => place.replace(/^AWS in /, '')

/** `status` null: there was no answer. */
function factsOf(error: unknown): { name: string; status: number | null } {
  if (!(error instanceof Error)) return { name: 'unknown', status: null }
  const metadata: unknown = '$metadata' in error ? error.$metadata : null
  const status: unknown =
    typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata ? metadata.httpStatusCode : null
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return { name: code, status: typeof status === 'number' ? status : null }
}
