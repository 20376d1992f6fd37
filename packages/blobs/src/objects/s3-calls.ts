import { S3Client } from '@aws-sdk/client-s3'
import type { BlobStoreTarget } from '@vision-queue/process'

import { ObjectStoreError } from './object-store.ts'
import { explainS3Error, isMissingObject } from './s3-error.ts'

/** Two tries of an image within a region take a fraction of it. Below ORPHAN_CHECK_MS, which counts submissions as broken off. */
export const patienceMs = 5000
const connectMs = 1000
const maxAttempts = 2
/** As many as an API process submits and a consumer reads at a time, by default. */
const maxSockets = 128
/** The way to a bucket: its client, and what every call of it has in common. */
export interface S3Calls {
  client: S3Client
  /** An object by its name, as commands take it. */
  of: (name: string) => { Bucket: string; Key: string }
  /** Within `patienceMs`; rejects with ObjectStoreError. */
  bounded: <T>(work: (options: { abortSignal: AbortSignal }) => Promise<T>) => Promise<T>
  /** Null in place of an object that isn't there. */
  unlessMissing: <T>(work: Promise<T>) => Promise<T | null>
}

export function openS3Calls(target: Extract<BlobStoreTarget, { kind: 's3' }>): S3Calls {
  const { bucket: Bucket, prefix, region, endpoint, pathStyle } = target
  const client = new S3Client({
    region,
    forcePathStyle: pathStyle,
    ...(endpoint === null ? {} : { endpoint }),
    maxAttempts,
    // Other services than AWS don't know the checksums that the SDK would send and look for by itself.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectMs,
      requestTimeout: patienceMs,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets },
      httpsAgent: { maxSockets },
    },
  })
  return {
    client,
    of: (name) => ({ Bucket, Key: `${prefix}${name}` }),
    async bounded(work) {
      try {
        return await work({ abortSignal: AbortSignal.timeout(patienceMs) })
      } catch (error) {
        throw error instanceof ObjectStoreError ? error : explainS3Error(error, target)
      }
    },
    async unlessMissing(work) {
      try {
        return await work
      } catch (error) {
        if (error instanceof Error && isMissingObject(error.cause)) return null
        throw error
      }
    },
  }
}
