import type { OutputTensor } from '../onnx/tensor.ts'

/** An output of one item as rows of equal length. */
export interface Matrix {
  rows: ArrayLike<number>[]
  columns: number
}

/** An output of one image as rows, one for each place; with `columns` also where it is stored the other way round. */
export function matrixOf(outputs: Record<string, OutputTensor>, name: string, columns?: number): Matrix {
  const tensor = outputs[name]
  if (tensor === undefined) throw new Error(`no ${name} came out`)
  const { data } = tensor
  const [first = 1, second = 1] = tensor.dims.filter((dim, index, { length }) => dim !== 1 || index >= length - 2)
  if (columns === undefined || second === columns) {
    return {
      columns: second,
      rows: Array.from({ length: first }, (_, row) => data.subarray(row * second, (row + 1) * second)),
    }
  }
  if (first !== columns)
    throw new Error(`${name} is [${tensor.dims.join(', ')}], where ${columns} columns were expected`)
  const rows = Array.from({ length: second }, (_, place) =>
    Float32Array.from({ length: first }, (_unused, column) => data[column * second + place] ?? NaN),
  )
  return { columns: first, rows }
}
