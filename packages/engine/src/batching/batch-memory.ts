import { blankFeed, partOf, type Feed, type PixelType } from '../onnx/tensor.ts'

type PixelFeed = Extract<Feed, { type: PixelType }>

/** Runs `run`, whose batch may take its pixels' memory from `blank` until it has ended. */
export type WithBatchMemory = <Result>(run: (blank: typeof blankFeed) => Promise<Result>) => Promise<Result>

/**
 * Memory for the pixels of batches that follow each other, one input of one session. New memory for each
 * batch is about ten times as dear as to write over the old: the system clears each page when it is first
 * touched. It stays as large as the largest batch so far. It holds what the batch before left there, so
 * who takes it writes all of it. A run that begins while another has it gets memory of its own.
 */
export function createBatchMemory(): WithBatchMemory {
  let kept: PixelFeed | null = null
  let isTaken = false
  return async (run) => {
    let isMine = false
    try {
      return await run((type, dims) => {
        if (isTaken) return blankFeed(type, dims)
        isTaken = true
        isMine = true
        const length = dims.reduce((product, dim) => product * dim, 1)
        if (kept === null || kept.type !== type || kept.data.length < length) kept = blankFeed(type, dims)
        return partOf(kept, 0, length, dims)
      })
    } finally {
      if (isMine) isTaken = false
    }
  }
}
