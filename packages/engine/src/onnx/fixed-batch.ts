import type { Session } from './session.ts'
import { sliceRows, type Feed, type OutputTensor } from './tensor.ts'

/**
 * The batch size that a graph's inputs are fixed to; null where it may vary. Inputs of one dimension are
 * switches and places (a decoder's `use_cache_branch`), not rows.
 */
export function fixedBatchSize({ inputs }: Pick<Session, 'inputs'>): number | null {
  const sizes = [...inputs.values()].flatMap(({ dims }) => (dims.length < 2 ? [] : (dims[0] ?? [])))
  return sizes.length === 0 ? null : Math.max(...sizes)
}

/**
 * A session whose graph has a fixed batch size takes any number of rows: they are run in pieces of that
 * size, the last one filled up with copies of its last row, whose outputs are dropped. Others stay as they are.
 */
export function withAnyBatch(session: Session): Session {
  const size = fixedBatchSize(session)
  return size === null ? session : inPieces(session, size, size)
}

/**
 * A session that runs each row by itself, for graphs that compute a row from the others: no caller's answer may
 * depend on another's question. Where the batch is fixed the row is run beside copies of itself.
 */
export function withRowsApart(session: Session): Session {
  return session.rowsApart === true
    ? session
    : { ...inPieces(session, 1, fixedBatchSize(session) ?? 1), rowsApart: true }
}

/** Runs `step` rows at a time, filled up to `size`. */
function inPieces(session: Session, step: number, size: number): Session {
  return {
    ...session,
    async run(feeds, names) {
      const rows = Math.max(...Object.values(feeds).map((feed) => (isRows(feed) ? (feed.dims[0] ?? 1) : 1)))
      if (rows === step && step === size) return session.run(feeds, names)
      const pieces: Record<string, OutputTensor>[] = []
      for (let start = 0; start < rows; start += step) {
        const piece = Object.entries(feeds).map(([name, feed]) => {
          if (!isRows(feed)) return [name, feed] as const
          const own = sliceRows(feed, start, Math.min(step, rows - start))
          return [name, own.dims[0] === size ? own : sliceRows(own, 0, size)] as const
        })
        pieces.push(await session.run(Object.fromEntries(piece), names))
      }
      const joined = Object.keys(pieces[0] ?? {}).map((name) => {
        const parts = pieces.flatMap((piece) => piece[name] ?? [])
        return [name, joinRows(step === size ? parts : parts.map((part) => firstRow(part)), rows)] as const
      })
      return Object.fromEntries(joined)
    },
  }
}

/** Inputs of one dimension are switches and places, the same for all rows. */
function isRows({ dims }: Feed): boolean {
  return dims.length > 1
}

function firstRow({ data, dims: [rows = 1, ...dims] }: OutputTensor): OutputTensor {
  return { data: data.subarray(0, data.length / rows), dims: [1, ...dims] }
}

function joinRows(pieces: readonly OutputTensor[], rows: number): OutputTensor {
  const [, ...dims] = pieces[0]?.dims ?? []
  const rowSize = dims.reduce((product, dim) => product * dim, 1)
  const data = new Float32Array(rows * rowSize)
  let offset = 0
  for (const piece of pieces) {
    const part = piece.data.subarray(0, data.length - offset)
    data.set(part, offset)
    offset += part.length
  }
  return { data, dims: [rows, ...dims] }
}
