/** A tensor whose first dimension is its rows. */
export interface RowTensor {
  data: Float32Array
  dims: readonly number[]
}

/**
 * Tensors that share their rows, such as the keys and values of all layers, ``float32 [rows, heads,
 * length, size]``, or an encoder's states, ``[rows, length, width]``. Never changed once made: a
 * decoder's outputs are a block as they come, and sequences point into it.
 */
export interface RowBlock {
  rows: number
  tensors: ReadonlyMap<string, RowTensor>
}

/** Some rows of a block, in the order in which they are wanted; one may be named twice. */
export interface BlockRows {
  block: RowBlock
  rows: readonly number[]
}

/** Checks that every tensor has as many rows. */
export function toBlock(rows: number, tensors: Iterable<readonly [string, RowTensor]>): RowBlock {
  const map = new Map(tensors)
  for (const [name, { dims }] of map) {
    if (dims[0] !== rows) throw new Error(`${name} has ${String(dims[0])} rows instead of ${rows}`)
  }
  return { rows, tensors: map }
}

/**
 * The rows of several sequences as one block. The very block they lie in where they are all of it, in
 * its order: a batch that nobody left, joined or reordered is fed back without a copy. Throws where
 * rows differ in shape.
 */
export function assembleRows(parts: readonly BlockRows[]): RowBlock {
  const [first] = parts
  if (first === undefined) throw new Error('there are no rows to assemble')
  const wanted = parts.flatMap(({ block, rows }) => rows.map((row) => ({ block, row })))
  const { block } = first
  if (wanted.length === block.rows && wanted.every((one, index) => one.block === block && one.row === index)) {
    return block
  }
  return {
    rows: wanted.length,
    tensors: new Map([...block.tensors.keys()].map((name) => [name, gather(name, wanted)])),
  }
}

function gather(name: string, wanted: readonly { block: RowBlock; row: number }[]): RowTensor {
  const sources = wanted.map(({ block, row }) => {
    const tensor = block.tensors.get(name)
    if (tensor === undefined) throw new Error(`a sequence has no ${name}`)
    return { tensor, row }
  })
  const shape = sources[0]?.tensor.dims.slice(1) ?? []
  const size = shape.reduce((product, dim) => product * dim, 1)
  const data = new Float32Array(wanted.length * size)
  for (const [index, { tensor, row }] of sources.entries()) {
    if (tensor.dims.length !== shape.length + 1 || shape.some((dim, at) => tensor.dims[at + 1] !== dim)) {
      throw new Error(`the sequences of one step have ${name} of different shapes`)
    }
    data.set(tensor.data.subarray(row * size, (row + 1) * size), index * size)
  }
  return { data, dims: [wanted.length, ...shape] }
}
