import { blankFeed, toFeed, type Feed, type PixelArray, type PixelType, type TensorShape } from './tensor.ts'

/**
 * One item's part of one input of the graph.
 * Pixels (`float32`, `float16`, `uint8`): always the same shape; they write all of their place of
 * the batch, so that nothing is copied twice. `int64`: as long as it is, filled up with `padValue` to the longest of the batch; `exact`: never filled up, so
 * that only items of its length may share a run (exactLengths). `numbers`: a mask or the like, always of one shape.
 * `whole`: a tensor that its task hands to the graph itself, told for its dimensions only, by which batches are made.
 * Numbers that are no pixels reach the graph in the type that it takes, such as int32, bool or float16.
 */
export type Row =
  | { type: PixelType; dims: readonly number[]; write: (target: PixelArray, offset: number) => void }
  | { type: 'numbers'; dims: readonly number[]; values: ArrayLike<number> }
  | { type: 'int64'; values: readonly number[]; padValue: number; exact?: boolean }
  | { type: 'whole'; dims: readonly number[] }

/**
 * The shapes of an item's rows that must not be filled up: those of images, and texts' lengths if so. Items of different
 * ones are never run together.
 */
export function exactLengths(rows: Record<string, Row>): string {
  return Object.values(rows)
    .flatMap((row) =>
      row.type !== 'int64' ? [row.dims.join('x')] : row.exact === true ? [String(row.values.length)] : [],
    )
    .join(' ')
}

/** The items in groups of equal exact lengths, each with its place. */
export function groupByExactLengths<Item>(
  items: readonly Item[],
  rowsOf: (item: Item) => Record<string, Row>,
): { item: Item; index: number }[][] {
  const groups = new Map<string, { item: Item; index: number }[]>()
  for (const [index, item] of items.entries()) {
    const key = exactLengths(rowsOf(item))
    const group = groups.get(key) ?? []
    group.push({ item, index })
    groups.set(key, group)
  }
  return [...groups.values()]
}

/**
 * Stacks the rows of a batch into the tensors of one session run, `[N, ...]`, by input name. All
 * items must have the same names. A length that the graph fixes is padded to. `blank` gives the memory
 * for the pixels.
 */
export function collate(
  items: readonly Record<string, Row>[],
  inputs: ReadonlyMap<string, TensorShape>,
  blank = blankFeed,
): Record<string, Feed> {
  const names = Object.keys(items[0] ?? {})
  return Object.fromEntries(
    names.map((name) => {
      const rows = items.map((item) => {
        const row = item[name]
        if (row === undefined) throw new Error(`an item of the batch has no ${name}`)
        return row
      })
      const { type = 'int64', dims } = inputs.get(name) ?? {}
      return [name, stack({ name, type, fixedLength: dims?.[1] ?? null }, rows, blank)]
    }),
  )
}

/** An input of the graph: its type, and the length of its rows where that is fixed. */
interface StackedInput {
  name: string
  type: string
  fixedLength: number | null
}

function stack({ name, type, fixedLength }: StackedInput, rows: readonly Row[], blank: typeof blankFeed): Feed {
  const first = rows[0]
  if (first?.type === 'numbers') {
    const size = first.values.length
    const all = new Float32Array(rows.length * size)
    for (const [index, row] of rows.entries()) if (row.type === 'numbers') all.set(row.values, index * size)
    return toFeed(type, all, [rows.length, ...first.dims])
  }
  if (first?.type === 'whole') throw new Error(`${name} is its task's own to hand over`)
  if (first !== undefined && first.type !== 'int64') {
    const feed = blank(first.type, [rows.length, ...first.dims])
    const size = feed.data.length / rows.length
    for (const [index, row] of rows.entries()) {
      if (row.type !== first.type || row.dims.join() !== first.dims.join()) {
        throw new Error(`the batch mixes types or sizes in ${name}`)
      }
      row.write(feed.data, index * size)
    }
    return feed
  }
  const sequences = rows.map((row) => {
    if (row.type !== 'int64') throw new Error(`the batch mixes types in ${name}`)
    return row
  })
  const length = fixedLength ?? Math.max(...sequences.map((row) => row.values.length))
  const numbers: number[] = []
  for (const { values, padValue, exact = false } of sequences) {
    if (exact && values.length !== length) throw new Error(`${name} is ${values.length} long, beside one of ${length}`)
    for (let position = 0; position < length; position += 1) {
      numbers.push(values[position] ?? padValue)
    }
  }
  return toFeed(type, numbers, [rows.length, length])
}
