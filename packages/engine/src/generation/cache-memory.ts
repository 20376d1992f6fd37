import { blankFeed, partOf, type Feed } from '../onnx/tensor.ts'

export type FloatFeed = Extract<Feed, { type: 'float32' | 'float16' }>

/** One of the tensors that a decoder keeps of each token, ``[rows, heads, width, size]``. */
export interface CacheTensor {
  /** Of the input that takes it. */
  name: string
  /** Of the output that gives it; null: it is only fed, as `encoder_hidden_states`. */
  present: string | null
  type: FloatFeed['type']
  heads: number
  size: number
}

/** Memory of so many tokens (rows times width) in each tensor. */
export interface CacheBlock {
  cells: number
  tensors: ReadonlyMap<string, FloatFeed>
}

/** Blocks of some tensors. Those that are given back are used again, as new memory costs page by page. */
export interface CachePool {
  /** One that lies ready and has from `least` to `most` cells, else a new one of `cells`. What it held before is still in it. */
  take: (size: { least: number; cells: number; most: number }) => CacheBlock
  give: (block: CacheBlock) => void
}

/** All memory for keys and values of a decoder. */
export interface CacheMemory {
  openPool: (tensors: readonly CacheTensor[]) => CachePool
  /** The most bytes that all blocks ever were, those that lay ready among them. */
  readonly peakBytes: number
  /** Of the blocks that are in use. */
  readonly heldBytes: number
}

export function bytesOfToken(tensors: readonly CacheTensor[]): number {
  return tensors.reduce((sum, { heads, size, type }) => sum + heads * size * (type === 'float16' ? 2 : 4), 0)
}

/** `keptBytes`: blocks lie ready only while all together are no more than this. */
export function createCacheMemory(keptBytes: number): CacheMemory {
  let ready: { pool: readonly CacheTensor[]; block: CacheBlock; bytes: number }[] = []
  let allBytes = 0
  let peakBytes = 0

  const allocate = (tensors: readonly CacheTensor[], cells: number): CacheBlock => {
    const bytes = cells * bytesOfToken(tensors)
    // What lies ready goes first, the smallest first: large blocks can be used for more.
    while (ready.length > 0 && allBytes + bytes > keptBytes) allBytes -= ready.shift()?.bytes ?? 0
    allBytes += bytes
    peakBytes = Math.max(peakBytes, allBytes)
    return {
      cells,
      tensors: new Map(tensors.map(({ name, type, heads, size }) => [name, blank(type, cells * heads * size)])),
    }
  }

  return {
    openPool: (tensors) => ({
      take({ least, cells, most }) {
        const found = ready.find(({ pool, block }) => pool === tensors && block.cells >= least && block.cells <= most)
        if (found === undefined) return allocate(tensors, cells)
        ready = ready.filter((one) => one !== found)
        return found.block
      },
      give(block) {
        const bytes = block.cells * bytesOfToken(tensors)
        if (allBytes > keptBytes) allBytes -= bytes
        else ready = [...ready, { pool: tensors, block, bytes }].toSorted((a, b) => a.bytes - b.bytes)
      },
    }),
    get peakBytes() {
      return peakBytes
    },
    get heldBytes() {
      return ready.reduce((left, { bytes }) => left - bytes, allBytes)
    },
  }
}

function blank(type: FloatFeed['type'], length: number): FloatFeed {
  const feed = blankFeed(type, [length])
  if (feed.type === 'uint8') throw new Error('keys and values are floats')
  return feed
}

/** Rows as they lie in a block: `width` places each, of which a row's own are `[start, start + length)`. */
export interface CacheView {
  block: CacheBlock
  rows: number
  width: number
}

/** One tensor of a view, as it is fed. */
export function feedOf({ block, rows, width }: CacheView, { name, heads, size }: CacheTensor): FloatFeed {
  const feed = block.tensors.get(name)
  if (feed === undefined) throw new Error(`there is no memory for ${name}`)
  return partOf(feed, 0, rows * heads * width * size, [rows, heads, width, size])
}

/** Where a row comes from and goes to. */
export interface RowCopy {
  from: CacheView
  fromRow: number
  fromStart: number
  row: number
  start: number
  length: number
}

/**
 * Puts rows together in a view. Places that are no row's own become zeros: a graph multiplies them by a weight of 0,
 * which makes 0 of every number but NaN.
 */
export function copyRows(tensors: readonly CacheTensor[], to: CacheView, copies: readonly RowCopy[]): void {
  for (const tensor of tensors) {
    const { heads, size } = tensor
    const target = feedOf(to, tensor).data
    for (const { from, fromRow, fromStart, row, start, length } of copies) {
      const source = feedOf(from, tensor).data
      for (let head = 0; head < heads; head += 1) {
        const begin = (row * heads + head) * to.width
        const place = (fromRow * heads + head) * from.width + fromStart
        target.fill(0, begin * size, (begin + start) * size)
        target.set(source.subarray(place * size, (place + length) * size), (begin + start) * size)
        target.fill(0, (begin + start + length) * size, (begin + to.width) * size)
      }
    }
  }
}
