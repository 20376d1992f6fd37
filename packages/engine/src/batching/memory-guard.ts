/** Keeps an engine's batches small enough for the memory its process may have. */
export interface MemoryGuard {
  /** The most items of a batch, as far as memory is concerned. */
  readonly batchLimit: number
  /** Resident memory of this process, as last read. */
  readonly residentBytes: number
  /** Reads it anew, at most every 250 ms; to be called after each batch. */
  look: () => void
}

const readEveryMs = 250
const nearLimit = 0.85
const farFromLimit = 0.7

/**
 * From 85 % of the limit on each look halves the batches; below 70 % each doubles them, up to
 * `maxBatchSize`. Pictures that are being decoded are not bounded by it: how many an engine holds is the
 * pool's to say, who also replaces an engine that is over the limit all the same.
 *
 * `limitBytes` 0: no limit. It is about this process's own memory: what a model takes on a GPU does not show
 * in it, and onnxruntime-node neither tells nor bounds that.
 */
export function createMemoryGuard({
  limitBytes,
  maxBatchSize,
  readResidentBytes = () => process.memoryUsage.rss(),
}: {
  limitBytes: number
  maxBatchSize: number
  readResidentBytes?: () => number
}): MemoryGuard {
  let batchLimit = maxBatchSize
  let residentBytes = readResidentBytes()
  let readAt = -Infinity
  return {
    get batchLimit() {
      return batchLimit
    },
    get residentBytes() {
      return residentBytes
    },
    look() {
      const now = performance.now()
      if (now - readAt < readEveryMs) return
      readAt = now
      residentBytes = readResidentBytes()
      if (limitBytes === 0) return
      if (residentBytes >= nearLimit * limitBytes) batchLimit = Math.max(1, Math.floor(batchLimit / 2))
      else if (residentBytes < farFromLimit * limitBytes) batchLimit = Math.min(maxBatchSize, batchLimit * 2)
    },
  }
}
