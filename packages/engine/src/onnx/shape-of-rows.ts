import type { Row } from './collate.ts'
import type { TensorShape } from './tensor.ts'

/** Texts up to so many tokens count as equally long. */
const shortText = 64

/**
 * The padded shape of an item's rows, by which batches are kept apart: the dimensions of its pixels, and
 * the length of its texts up to 64 tokens or the next power of two. Short texts of any length share a batch, as
 * padding them costs less than a launch; a text of 65 tokens is never padded to more than twice its length. A length
 * that the graph fixes is everybody's. Texts that must not be padded share batches with those of their own length only.
 */
export function shapeOfRows(rows: Record<string, Row>, inputs: ReadonlyMap<string, TensorShape>): string {
  const parts: string[] = []
  for (const [name, row] of Object.entries(rows)) {
    if (row.type !== 'int64') parts.push(row.dims.join('x'))
    else if (row.exact === true) parts.push(`=${row.values.length}`)
    else if (row.values.length > shortText && (inputs.get(name)?.dims[1] ?? null) === null)
      parts.push(String(2 ** Math.ceil(Math.log2(row.values.length))))
  }
  return parts.join(' ')
}
