import { hash as hashOf } from 'node:crypto'

import { VisionQueueError } from '@vision-queue/protocol'

import type { BlobValues } from '../blob-values.ts'
import { newObjectName, objectOf, pointerTo } from './object-name.ts'
import type { ObjectStore } from './object-store.ts'

/** How long an address that is handed over serves: longer than a job waits in an engine before its image is read. */
const handedOverMs = 10 * 60_000

/** Large blobs are objects, and Redis points to them; small ones, for which that would cost more, stand in Redis. */
export function createObjectValues(objects: ObjectStore, { fromBytes }: { fromBytes: number }): BlobValues {
  return {
    isInline: (bytes) => bytes < fromBytes,
    patienceMs: objects.patienceMs,
    async toValue(address, bytes) {
      if (bytes.byteLength < fromBytes) return bytes
      const name = newObjectName(address)
      await unavailable(objects.put(name, bytes, address.hash))
      return pointerTo(name)
    },
    async toBytes(address, value) {
      const name = objectOf(value)
      if (name === null) return value
      const bytes = await unavailable(objects.read(name))
      // Whoever was given an address to put them may have found a way to put others.
      return bytes !== null && hashOf('sha256', bytes, 'hex') === address.hash ? bytes : null
    },
    async toHandOver(_address, value) {
      const name = objectOf(value)
      return name === null ? value : await unavailable(objects.addressToGet(name, handedOverMs))
    },
  }
}

/** The store's own words are for the log. */
export async function unavailable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new VisionQueueError('queue_unavailable', 'The store of images can not be used at the moment. Try again.', {
      cause: error,
      retryAfterMs: 1000,
    })
  }
}
