import { type Blobs, createMemoryBlobs, createMemoryBudget, createUploads, type Uploads } from '@vision-queue/blobs'
import type { VisionQueueError } from '@vision-queue/protocol'

/** Uploaded images in this process' memory. */
export interface MemoryUploads extends Uploads {
  readonly blobs: Blobs
  /** Where set, uploads reject with it. */
  refusal: VisionQueueError | null
  /** As when everything has expired. */
  forget(): void
}

export function openMemoryUploads(shared = false): MemoryUploads {
  let blobs = createMemoryBlobs()
  const memory: MemoryUploads = {
    get blobs() {
      return blobs
    },
    refusal: null,
    forget() {
      blobs = createMemoryBlobs()
    },
    of(owner) {
      if (memory.refusal !== null) throw memory.refusal
      const options = { budget: createMemoryBudget(), imageTtlMs: 3_600_000, maxBytes: 1e9, shared }
      return createUploads({ blobs, ...options }).of(owner)
    },
    async close() {},
  }
  return memory
}
