import type { Session } from './session.ts'
import { sliceRows, type OutputTensor } from './tensor.ts'

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
  return size === null ? session : inPieces(session, size)
}

/**
 * A session that runs each row by itself, for a graph whose rows would change each other's answers (see
 * GraphFacts.dynamicQuantization). Inputs of different numbers of rows are run together as they are.
 */
export function rowByRow(session: Session): Session {
  const pieces = inPieces(session, 1)
  return {
    ...session,
    async run(feeds, names) {
      const rows = new Set(Object.values(feeds).flatMap(({ dims }) => (dims.length < 2 ? [] : (dims[0] ?? 1))))
      return rows.size > 1 ? session.run(feeds, names) : pieces.run(feeds, names)
    },
  }
}

function inPieces(session: Session, size: number): Session {
  return {
    ...session,
    async run(feeds, names) {
      const rows = Math.max(...Object.values(feeds).map(({ dims }) => dims[0] ?? 1))
      if (rows === size) return session.run(feeds, names)
      const pieces: Record<string, OutputTensor>[] = []
      for (let start = 0; start < rows; start += size) {
        const piece = Object.entries(feeds).map(([name, feed]) => [name, sliceRows(feed, start, size)] as const)
        pieces.push(await session.run(Object.fromEntries(piece), names))
      }
      return Object.fromEntries(
        Object.keys(pieces[0] ?? {}).map((name) => [
          name,
          joinRows(
            pieces.flatMap((piece) => piece[name] ?? []),
            rows,
          ),
        ]),
      )
    },
  }
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
