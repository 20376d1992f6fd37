import { VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { fromHalf, toHalf } from '../onnx/half-float.ts'
import { byteSizeOf, countOf, type ExactTensor, type ExactType } from '../onnx/exact-tensor.ts'

/** A number of a tensor as JSON has it: strings are for what JSON's numbers can't hold. */
const numberSchema = z.union([z.number(), z.boolean(), z.string()])

/** What of a graph's input is known. */
export interface WantedTensor {
  type: ExactType
  /** Null: any. */
  dims: readonly (number | null)[]
}

/** How a tensor of this kind is sent. The rest, such as whether the numbers fit their type, is parseTensor's. */
export function tensorSchema({ type, dims }: WantedTensor) {
  return z
    .strictObject({
      dtype: z.literal(type).optional(),
      shape: z.array(z.int().min(0)).length(dims.length).optional(),
      data: z
        .union([z.string(), z.number(), z.boolean(), z.array(z.unknown())])
        .describe('numbers, flat or nested by dimension; or all bytes, little-endian, as base64, with shape'),
    })
    .describe(`${type} ${shown(dims)}`)
}
export type SentTensor = z.infer<ReturnType<typeof tensorSchema>>

/** ``[any, 3, 224, 224]`` */
export function shown(dims: readonly (number | null)[]): string {
  return `[${dims.map((dim) => dim ?? 'any').join(', ')}]`
}

/**
 * A tensor as it was sent, to the bit. Throws `invalid_input` that names the field under `field` and what the graph takes:
 * for another shape, for numbers that aren't as many as the shape says, and for those that the type doesn't hold.
 */
export function parseTensor({ shape, data }: SentTensor, wanted: WantedTensor, field: string): ExactTensor {
  const { type } = wanted
  const refuse = (at: string, found: string): VisionQueueError => {
    const expected = `${type} ${shown(wanted.dims)} (${found})`
    const fields = [{ field: at === '' ? field : `${field}.${at}`, expected }]
    return new VisionQueueError('invalid_input', `${fields[0]?.field}: expected ${expected}.`, { fields })
  }
  const checked = (dims: readonly number[]): readonly number[] => {
    const fits = dims.length === wanted.dims.length && dims.every((dim, at) => (wanted.dims[at] ?? dim) === dim)
    if (!fits) throw refuse('shape', `the shape is ${shown(dims)}`)
    return dims
  }
  if (typeof data === 'string' && wanted.dims.length > 0) {
    if (shape === undefined) throw refuse('shape', 'base64 needs a shape')
    const dims = checked(shape)
    const bytes = Buffer.from(data, 'base64')
    const expected = countOf(dims) * byteSizeOf(type)
    if (!z.base64().safeParse(data).success) throw refuse('data', 'the string is no base64')
    if (bytes.length !== expected)
      throw refuse('data', `${expected} bytes for ${shown(dims)}, there are ${bytes.length}`)
    return { type, dims, bytes: type === 'bool' ? bytes.map((byte) => (byte === 0 ? 0 : 1)) : bytes }
  }
  const nested = nestedDims(data)
  const values: unknown[] = !Array.isArray(data) ? [data] : nested.length > 1 ? data.flat(nested.length - 1) : data
  // A flat list may be of any shape; a nested one has its own.
  const dims = checked(shape ?? nested)
  if (values.length !== countOf(dims))
    throw refuse('data', `${countOf(dims)} numbers for ${shown(dims)}, there are ${values.length}`)
  if (nested.length > 1 && (nested.join() !== dims.join() || !isEven(data, nested))) {
    throw refuse('data', `the lists are ${shown(nested)}, or not all as long`)
  }
  const bytes = new Uint8Array(values.length * byteSizeOf(type))
  const write = writers[type](new DataView(bytes.buffer))
  for (const [index, value] of values.entries()) {
    const number = numberSchema.safeParse(value)
    if (!number.success) throw refuse('data', `the lists hold something else than numbers, at ${index}`)
    if (!write(index, number.data)) throw refuse('data', `${JSON.stringify(value)} at ${index} is no ${type}`)
  }
  return { type, dims, bytes }
}

/** Whether all lists of each level are as long. */
function isEven(data: unknown, [length, ...inner]: readonly number[]): boolean {
  if (length === undefined) return true
  return Array.isArray(data) && data.length === length && data.every((one) => isEven(one, inner))
}

/** By the first of each level. */
function nestedDims(data: unknown): number[] {
  return Array.isArray(data) ? [data.length, ...(data.length === 0 ? [] : nestedDims(data[0]))] : []
}

/** Floats that JSON has no numbers for. */
const special = new Map([
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
])

/** Writes a number to its place; false where the type doesn't hold it. */
type Writer = (view: DataView) => (index: number, value: string | number | boolean) => boolean

const float =
  (size: number, set: (view: DataView, at: number, value: number) => void, holds: (value: number) => boolean): Writer =>
  (view) =>
  (index, value) => {
    const number = typeof value === 'string' ? special.get(value) : value
    if (typeof number !== 'number' || (Number.isFinite(number) && !holds(number))) return false
    set(view, index * size, number)
    return true
  }

const whole =
  (size: number, least: number, most: number, set: (view: DataView, at: number, value: number) => void): Writer =>
  (view) =>
  (index, value) => {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) return false
    set(view, index * size, value)
    return true
  }

/** Beyond what JSON's numbers hold exactly, digits in a string. */
const large =
  (least: bigint, most: bigint, set: (view: DataView, at: number, value: bigint) => void): Writer =>
  (view) =>
  (index, value) => {
    const isExact =
      typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'string' && /^-?\d{1,20}$/.test(value)
    if (!isExact) return false
    const number = BigInt(value)
    if (number < least || number > most) return false
    set(view, index * 8, number)
    return true
  }

const writers: Record<ExactType, Writer> = {
  float32: float(
    4,
    (view, at, value) => view.setFloat32(at, value, true),
    (value) => Number.isFinite(Math.fround(value)),
  ),
  float64: float(
    8,
    (view, at, value) => view.setFloat64(at, value, true),
    () => true,
  ),
  float16: float(
    2,
    (view, at, value) => view.setUint16(at, toHalf(value), true),
    (value) => Number.isFinite(fromHalf(toHalf(value))),
  ),
  int8: whole(1, -(2 ** 7), 2 ** 7 - 1, (view, at, value) => view.setInt8(at, value)),
  int16: whole(2, -(2 ** 15), 2 ** 15 - 1, (view, at, value) => view.setInt16(at, value, true)),
  int32: whole(4, -(2 ** 31), 2 ** 31 - 1, (view, at, value) => view.setInt32(at, value, true)),
  uint8: whole(1, 0, 2 ** 8 - 1, (view, at, value) => view.setUint8(at, value)),
  uint16: whole(2, 0, 2 ** 16 - 1, (view, at, value) => view.setUint16(at, value, true)),
  uint32: whole(4, 0, 2 ** 32 - 1, (view, at, value) => view.setUint32(at, value, true)),
  int64: large(-(2n ** 63n), 2n ** 63n - 1n, (view, at, value) => view.setBigInt64(at, value, true)),
  uint64: large(0n, 2n ** 64n - 1n, (view, at, value) => view.setBigUint64(at, value, true)),
  bool: (view) => (index, value) => {
    if (typeof value === 'string' || ![0, 1].includes(Number(value))) return false
    view.setUint8(index, Number(value))
    return true
  },
}

/** How a tensor is answered. */
export const answeredTensorSchema = z.object({
  dtype: z.string(),
  shape: z.array(z.int().min(0)),
  data: z.union([z.string(), z.array(numberSchema)]),
})

/**
 * A tensor as JSON: its numbers in a flat list, or all bytes as base64. Of a tensor of 64 bits with a number beyond 2^53 all
 * are strings of digits. Floats have as many digits as tell them apart; NaN and infinity are strings.
 */
export function printTensor(
  { type, dims, bytes }: ExactTensor,
  encoding: 'numbers' | 'base64',
): z.infer<typeof answeredTensorSchema> {
  const whatItIs = { dtype: type, shape: [...dims] }
  if (encoding === 'base64') {
    return { ...whatItIs, data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') }
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const size = byteSizeOf(type)
  if (type === 'int64' || type === 'uint64') {
    const numbers = Array.from({ length: bytes.length / size }, (_, index) =>
      type === 'int64' ? view.getBigInt64(index * size, true) : view.getBigUint64(index * size, true),
    )
    const isSafe = numbers.every((number) => Number.isSafeInteger(Number(number)))
    return { ...whatItIs, data: isSafe ? numbers.map(Number) : numbers.map(String) }
  }
  const read = readers[type]
  return { ...whatItIs, data: Array.from({ length: bytes.length / size }, (_, index) => read(view, index * size)) }
}

/** Nine significant digits tell any two float32 apart, five any two half floats. */
function shortened(value: number, digits: number): number | string {
  return Number.isFinite(value) ? Number(value.toPrecision(digits)) : String(value)
}

const readers: Record<
  Exclude<ExactType, 'int64' | 'uint64'>,
  (view: DataView, at: number) => number | string | boolean
> = {
  float32: (view, at) => shortened(view.getFloat32(at, true), 9),
  float64: (view, at) => shortened(view.getFloat64(at, true), 17),
  float16: (view, at) => shortened(fromHalf(view.getUint16(at, true)), 5),
  int8: (view, at) => view.getInt8(at),
  int16: (view, at) => view.getInt16(at, true),
  int32: (view, at) => view.getInt32(at, true),
  uint8: (view, at) => view.getUint8(at),
  uint16: (view, at) => view.getUint16(at, true),
  uint32: (view, at) => view.getUint32(at, true),
  bool: (view, at) => view.getUint8(at) !== 0,
}
