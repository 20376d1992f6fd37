import {
  bytesOfToken,
  copyRows,
  createCacheMemory,
  type CacheBlock,
  type CacheMemory,
  type CachePool,
  type CacheView,
  type RowCopy,
} from './cache-memory.ts'
import type { DecoderLayout } from './decoder-layout.ts'
import type { GenerationPrompt } from './generation-prompt.ts'

/** A sequence within a decoder. */
export interface DecoderRow {
  /** Of prompt and new tokens together. */
  readonly maxTokens: number
  /** Until it is fed; then its embeddings need not be kept. */
  prompt: GenerationPrompt | null
  /** Tokens whose keys and values are there. */
  length: number
  /** Of the next generated token. */
  position: number
  crossLength: number
  batch: RowBatch | null
}

/** Rows whose keys and values lie in one block, in the order of `members`. */
export interface RowBatch {
  /** A member may have gone since: its `batch` is another one. */
  members: readonly DecoderRow[]
  own: CacheView
  /** Memory for the next step's keys and values, where they are not written in place. */
  spare: CacheBlock | null
  cross: CacheView | null
}

/** Widths grow by so many tokens at a time, within what the rows may need at most. */
const bucket = 128

/** Widths that admission counts with. */
const roundedWidth = (tokens: number): number => Math.ceil(tokens / bucket) * bucket

export interface RowSize {
  maxTokens: number
  maxCrossTokens: number
}

/**
 * The most bytes that these rows take while they run together: each as wide as the widest, and twice, as a step reads
 * one block and writes another, and rows that join or leave are copied from one to another.
 */
export function bytesOfRows({ own, cross }: DecoderLayout, sizes: readonly RowSize[]): number {
  const widest = Math.max(0, ...sizes.map(({ maxTokens }) => roundedWidth(maxTokens)))
  const widestCross = Math.max(0, ...sizes.map(({ maxCrossTokens }) => maxCrossTokens))
  return 2 * sizes.length * (widest * bytesOfToken(own) + widestCross * bytesOfToken(cross))
}

/** Where keys and values lie; moves rows from block to block when the rows of a step change. */
export interface RowMemory {
  /** The batch of exactly these rows with room for `more` tokens each; the one they are in already, where they are all of it. */
  assemble: (rows: readonly DecoderRow[], more: number) => RowBatch
  /** Memory for the keys and values of a step that makes rows `width` wide. */
  spareFor: (batch: RowBatch, width: number) => CacheBlock
  setCross: (row: DecoderRow, batch: RowBatch, fill: (view: CacheView) => void) => void
  release: (row: DecoderRow) => void
  /** Packs batches that rows have left, before anything new takes memory; those whose rows are all moved next need not. */
  pack: (moved: ReadonlySet<DecoderRow>) => void
  readonly bytes: Pick<CacheMemory, 'peakBytes' | 'heldBytes'>
}

/** `keptBytes`: memory that is not in use lies ready within so many bytes. */
export function createRowMemory(layout: DecoderLayout, keptBytes: number): RowMemory {
  const memory = createCacheMemory(keptBytes)
  const [own, cross] = [memory.openPool(layout.own), memory.openPool(layout.cross)]
  const isRight = layout.padding === 'right'
  const left = new Set<RowBatch>()

  function close(batch: RowBatch): void {
    left.delete(batch)
    own.give(batch.own.block)
    if (batch.spare !== null) own.give(batch.spare)
    if (batch.cross !== null) cross.give(batch.cross.block)
  }

  function assemble(rows: readonly DecoderRow[], more: number): RowBatch {
    const [first] = rows
    if (first === undefined) throw new Error('there are no rows')
    const outgrown = rows.find(({ length, maxTokens }) => length + more > maxTokens)
    if (outgrown !== undefined)
      throw new Error(`a row outgrows the ${outgrown.maxTokens} tokens that it was counted with`)
    const longest = Math.max(...rows.map(({ length }) => length))
    const present = first.batch
    if (present !== null && isWhole(present, rows) && (!isRight || longest + more <= present.own.width)) return present
    const sources = new Set(rows.flatMap(({ batch }) => batch ?? []))
    for (const source of sources) {
      // What is only written to need not be there twice while rows are copied.
      if (source.spare !== null) own.give(source.spare)
      source.spare = null
    }
    const width = isRight ? growing(rows, longest + more) : longest
    const block = take(own, rows, width)
    const view = { block, rows: rows.length, width }
    copyRows(layout.own, view, ownCopies(rows, { isRight, width }))
    const batch: RowBatch = { members: rows, own: view, spare: null, cross: joinCross(rows) }
    for (const row of rows) row.batch = batch
    for (const source of sources) {
      if (source.members.some((row) => row.batch === source)) left.add(source)
      else close(source)
    }
    return batch
  }

  function joinCross(rows: readonly DecoderRow[]): CacheView | null {
    if (layout.cross.length === 0 || rows.some(({ batch }) => batch?.cross == null)) return null
    const width = Math.max(...rows.map(({ crossLength }) => crossLength))
    const cells = rows.length * width
    const view = { block: cross.take({ least: cells, cells, most: cells }), rows: rows.length, width }
    copyRows(layout.cross, view, crossCopies(rows))
    return view
  }

  return {
    assemble,
    spareFor(batch, width) {
      const least = batch.members.length * width
      if (batch.spare !== null && batch.spare.cells >= least) return batch.spare
      if (batch.spare !== null) own.give(batch.spare)
      batch.spare = null
      batch.spare = take(own, batch.members, width)
      return batch.spare
    },
    setCross(row, batch, fill) {
      const cells = row.crossLength
      const view = { block: cross.take({ least: cells, cells, most: cells }), rows: 1, width: cells }
      fill(view)
      batch.cross = view
    },
    release(row) {
      const { batch } = row
      row.batch = null
      if (batch === null) return
      if (batch.members.some((member) => member.batch === batch)) left.add(batch)
      else close(batch)
    },
    pack(moved) {
      for (const batch of left) {
        const rows = batch.members.filter((row) => row.batch === batch)
        if (!rows.every((row) => moved.has(row))) assemble(rows, 0)
      }
    },
    bytes: memory,
  }
}

function isWhole(batch: RowBatch, rows: readonly DecoderRow[]): boolean {
  return (
    batch.members.length === rows.length && rows.every((row, at) => batch.members[at] === row && row.batch === batch)
  )
}

function ownCopies(rows: readonly DecoderRow[], to: { isRight: boolean; width: number }): RowCopy[] {
  return rows.flatMap((row, at): RowCopy[] => {
    if (row.batch === null) return []
    const { own: from, members } = row.batch
    const { length } = row
    const [fromStart, start] = to.isRight ? [0, 0] : [from.width - length, to.width - length]
    return [{ from, fromRow: members.indexOf(row), fromStart, row: at, start, length }]
  })
}

/** Encoder's states lie from the left, whatever the side of the sequence's own. */
function crossCopies(rows: readonly DecoderRow[]): RowCopy[] {
  return rows.flatMap((row, at): RowCopy[] => {
    const from = row.batch?.cross
    if (row.batch === null || from == null) return []
    const fromRow = row.batch.members.indexOf(row)
    return [{ from, fromRow, fromStart: 0, row: at, start: 0, length: row.crossLength }]
  })
}

/** A width with some room to grow, at once for what is left of a prompt, within what the rows may need. */
function growing(rows: readonly DecoderRow[], width: number): number {
  const wanted = Math.max(width, ...rows.map(({ prompt }) => (prompt === null ? 0 : prompt.ids.length + 1)))
  return Math.min(roundedWidth(wanted), Math.max(...rows.map(({ maxTokens }) => roundedWidth(maxTokens))))
}

function take(pool: CachePool, rows: readonly DecoderRow[], width: number): CacheBlock {
  const most = rows.length * Math.max(...rows.map(({ maxTokens }) => roundedWidth(maxTokens)))
  return pool.take({ least: rows.length * width, cells: rows.length * growing(rows, width), most })
}
