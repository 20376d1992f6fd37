/** The types of tensors that callers can hand over and get, by the names that ONNX Runtime and numpy give them; bytes of one number. */
const byteSizes = {
  float32: 4,
  float64: 8,
  float16: 2,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  bool: 1,
} as const
export type ExactType = keyof typeof byteSizes

/** A tensor to the bit: its numbers as little-endian bytes, in the order of rows. */
export interface ExactTensor {
  type: ExactType
  dims: readonly number[]
  bytes: Uint8Array
}

export function isExactType(type: string): type is ExactType {
  return Object.hasOwn(byteSizes, type)
}

export function byteSizeOf(type: ExactType): number {
  return byteSizes[type]
}

/** How many numbers these dimensions hold. */
export function countOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1)
}

/** Tensors of one type, one below the other: they differ in their first dimension at most. */
export function joinTensors(parts: readonly ExactTensor[]): ExactTensor {
  const [first] = parts
  if (first === undefined) throw new Error('there are no tensors to join')
  if (parts.length === 1) return first
  const rows = parts.reduce((sum, { dims: [own = 0] }) => sum + own, 0)
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.bytes.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part.bytes, at)
    at += part.bytes.length
  }
  return { type: first.type, dims: [rows, ...first.dims.slice(1)], bytes }
}

/** Some rows of a tensor, a view of them. */
export function rowsOfTensor({ type, dims, bytes }: ExactTensor, start: number, rows: number): ExactTensor {
  const [, ...inner] = dims
  const size = countOf(inner) * byteSizeOf(type)
  return { type, dims: [rows, ...inner], bytes: bytes.subarray(start * size, (start + rows) * size) }
}
