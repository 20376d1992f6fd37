import type { BlobStoreTarget } from '@vision-queue/process'

import { type BlobValues, inlineValues } from '../blob-values.ts'
import { createObjectValues } from './object-values.ts'
import type { ObjectStore } from './object-store.ts'

/** What BLOB_STORE names, opened: how blobs stand in Redis, and the objects where there are some. */
export interface OpenBlobStore {
  values: BlobValues
  /** Null: there are none, all is in Redis. */
  objects: ObjectStore | null
  close(): void
}

/** Everything in Redis. */
export const redisBlobStore: OpenBlobStore = { values: inlineValues, objects: null, close() {} }

/** The SDK is loaded only where it is used: a second of start, and its memory. */
export async function openBlobStore(target: BlobStoreTarget): Promise<OpenBlobStore> {
  if (target.kind === 'redis') return redisBlobStore
  const { openS3Objects } = await import('./s3-objects.ts')
  const objects = openS3Objects(target)
  return { values: createObjectValues(objects, target), objects, close: () => objects.close() }
}
