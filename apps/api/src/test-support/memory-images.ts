import { VisionQueueError } from '@vision-queue/protocol'
import type { ImageStore, UploadedImage } from '@vision-queue/queue/producer'

/** Uploaded images in this process' memory, for ever. */
export interface MemoryImages extends ImageStore {
  /** By hash. */
  uploaded: Map<string, { image: UploadedImage; bytes: Uint8Array }>
  /** `<hash> <job>` of each hold that was not released. */
  held: Set<string>
  /** Where set, uploads reject with it. */
  refusal: VisionQueueError | null
}

export function openMemoryImages(): MemoryImages {
  const memory: MemoryImages = {
    uploaded: new Map(),
    held: new Set(),
    refusal: null,
    async keep(facts, bytes) {
      if (memory.refusal !== null) throw memory.refusal
      const image = { ...facts, expiresAt: Date.now() + 3_600_000 }
      memory.uploaded.set(facts.hash, { image, bytes })
      return image
    },
    async read(hash) {
      return memory.uploaded.get(hash)?.image ?? null
    },
    async hold(hash, jobId) {
      if (memory.uploaded.has(hash)) memory.held.add(`${hash} ${jobId}`)
      return memory.read(hash)
    },
    async release(hash, jobId) {
      memory.held.delete(`${hash} ${jobId}`)
    },
    async remove(hash) {
      return memory.uploaded.delete(hash)
    },
    async close() {},
  }
  return memory
}
