import { toHalves } from './half-float.ts'

/** What the graph says of one of its inputs or outputs; a dimension that may vary is null. */
export interface TensorShape {
  type: string
  dims: (number | null)[]
}

/** How images reach a graph; float16 as the bits of half floats. */
export type PixelType = 'float32' | 'float16' | 'uint8'
export type PixelArray = Float32Array | Uint16Array | Uint8Array

/** The types of an input that takes ids, places or a mask. */
export const numberTypes: readonly string[] = ['int64', 'int32', 'bool', 'uint8', 'float32', 'float16']

/** One input of a session run. */
export type Feed =
  | { type: 'float32'; data: Float32Array; dims: number[] }
  | { type: 'float16'; data: Uint16Array; dims: number[] }
  | { type: 'uint8'; data: Uint8Array; dims: number[] }
  | { type: 'int64'; data: BigInt64Array; dims: number[] }
  | { type: 'int32'; data: Int32Array; dims: number[] }
  | { type: 'bool'; data: Uint8Array; dims: number[] }

/** One output of a session run, whatever its type in the graph. */
export interface OutputTensor {
  data: Float32Array
  dims: readonly number[]
}

export function isPixelType(type: string): type is PixelType {
  return type === 'float32' || type === 'float16' || type === 'uint8'
}

/** Numbers as an input of the type that the graph names. Throws for a type that is none of `numberTypes`. */
export function toFeed(type: string, numbers: Float32Array | readonly number[], dims: number[]): Feed {
  switch (type) {
    case 'int64':
      return { type, data: BigInt64Array.from(numbers, BigInt), dims }
    case 'int32':
      return { type, data: Int32Array.from(numbers), dims }
    case 'bool':
    case 'uint8':
      return { type, data: Uint8Array.from(numbers), dims }
    case 'float32':
      return { type, data: numbers instanceof Float32Array ? numbers : Float32Array.from(numbers), dims }
    case 'float16':
      return { type, data: toHalves(numbers), dims }
    default:
      throw new Error(`an input of the type ${type} can't be fed`)
  }
}

/** Pixels of zeros as an input. */
export function blankFeed(type: PixelType, dims: number[]): Extract<Feed, { type: PixelType }> {
  const size = dims.reduce((product, dim) => product * dim, 1)
  switch (type) {
    case 'float32':
      return { type, data: new Float32Array(size), dims }
    case 'float16':
      return { type, data: new Uint16Array(size), dims }
    case 'uint8':
      return { type, data: new Uint8Array(size), dims }
    default:
      return type satisfies never
  }
}

/** So many rows of an input from `start` on: a view of them, or, where there are fewer, a copy with the last one repeated. */
export function sliceRows(feed: Feed, start: number, rows: number): Feed {
  const [total = 1, ...dims] = feed.dims
  const size = feed.data.length / total
  const end = Math.min(start + rows, total)
  if (end === start + rows) return partOf(feed, start * size, end * size, [rows, ...dims])
  switch (feed.type) {
    case 'float32':
      return {
        ...feed,
        dims: [rows, ...dims],
        data: padded(feed.data, new Float32Array(rows * size), start, end, size),
      }
    case 'float16':
      return { ...feed, dims: [rows, ...dims], data: padded(feed.data, new Uint16Array(rows * size), start, end, size) }
    case 'uint8':
    case 'bool':
      return { ...feed, dims: [rows, ...dims], data: padded(feed.data, new Uint8Array(rows * size), start, end, size) }
    case 'int32':
      return { ...feed, dims: [rows, ...dims], data: padded(feed.data, new Int32Array(rows * size), start, end, size) }
    case 'int64':
      return {
        ...feed,
        dims: [rows, ...dims],
        data: padded(feed.data, new BigInt64Array(rows * size), start, end, size),
      }
    default:
      return feed satisfies never
  }
}

/** A view of the values from `start` to `end`, as an input of these dimensions. */
export function partOf<Part extends Feed>(feed: Part, start: number, end: number, dims: number[]): Part {
  return { ...feed, data: feed.data.subarray(start, end), dims }
}

interface Values<T> {
  readonly length: number
  subarray: (start: number, end: number) => T
  set: (values: T, offset: number) => void
}

function padded<T extends Values<T>>(data: T, target: T, start: number, end: number, size: number): T {
  target.set(data.subarray(start * size, end * size), 0)
  const last = data.subarray((end - 1) * size, end * size)
  for (let offset = (end - start) * size; offset < target.length; offset += size) target.set(last, offset)
  return target
}
