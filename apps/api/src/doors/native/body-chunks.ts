/** The chunks of a body that is arriving. */
export interface BodyChunks {
  add(chunk: Buffer): void
  /** All of them in a row; without a copy where there is one. */
  whole(): Buffer
}

/** Chunks below this are copied together: each is an object of some 400 bytes, and one may hold a single byte. */
const smallBytes = 4096
const blockBytes = 65_536

/**
 * A body's chunks until it is whole. Filling one buffer of Content-Length instead would promise memory to whoever
 * announces much and sends little, and gained nothing over HTTP.
 */
export function gatherChunks(): BodyChunks {
  const chunks: Buffer[] = []
  let block = Buffer.alloc(0)
  let used = 0
  const close = (): void => {
    if (used > 0) chunks.push(block.subarray(0, used))
    block = block.subarray(used)
    used = 0
  }
  return {
    add(chunk) {
      // The first as it is: most bodies have no other.
      if (chunks.length === 0 || chunk.length >= smallBytes) {
        close()
        chunks.push(chunk)
        return
      }
      if (used + chunk.length > block.length) {
        close()
        block = Buffer.allocUnsafe(blockBytes)
      }
      used += chunk.copy(block, used)
    },
    whole() {
      close()
      return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
    },
  }
}
