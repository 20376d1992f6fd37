import {
  byteSizeOf,
  countOf,
  type ExactTensor,
  type ExactType,
  parseTensor,
  printTensor,
} from '@vision-queue/engine/tensors'
import { z } from 'zod'

import { readJson } from '../http-json.ts'

/** The protocol's names of types, version 2. */
const types = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
} as const satisfies Record<string, ExactType>
const names = new Map(Object.entries(types).map(([name, type]) => [type, name]))

/** Our name of a type of the protocol's; null of those that are no numbers, such as BYTES. */
export function typeOf(datatype: string): ExactType | null {
  return Object.entries(types).find(([name]) => name === datatype)?.[1] ?? null
}

/** A request's body, and how long its JSON is where bytes follow it; null: all of it is JSON. */
export interface InferBody {
  body: Buffer
  jsonBytes: number | null
}

/**
 * The tensors as the protocol has them: with the extension for binary data as their own bytes behind the JSON, to the
 * bit. Else as numbers, which half floats, NaN and 64 bits beyond 2^53 have none of: `unwritable` is told which tensor.
 */
export function writeInfer(
  tensors: Readonly<Record<string, ExactTensor>>,
  { outputs, isBinary }: { outputs: readonly string[]; isBinary: boolean },
  unwritable: (name: string) => Error,
): InferBody {
  const inputs = Object.entries(tensors).map(([name, tensor]) => {
    const [shape, datatype] = [tensor.dims, names.get(tensor.type)]
    if (isBinary) return { name, shape, datatype, parameters: { binary_data_size: tensor.bytes.length } }
    const { data } = printTensor(tensor, 'numbers')
    if (typeof data === 'string' || tensor.type === 'float16' || data.some((one) => typeof one === 'string'))
      throw unwritable(name)
    return { name, shape, datatype, data }
  })
  const wanted = outputs.map((name) => ({ name, parameters: { binary_data: isBinary } }))
  const json = Buffer.from(JSON.stringify({ inputs, outputs: isBinary ? wanted : outputs.map((name) => ({ name })) }))
  if (!isBinary) return { body: json, jsonBytes: null }
  return { body: Buffer.concat([json, ...Object.values(tensors).map(({ bytes }) => bytes)]), jsonBytes: json.length }
}

const answerSchema = z.object({
  outputs: z.array(
    z.object({
      name: z.string(),
      shape: z.array(z.int().min(0)),
      datatype: z.string(),
      data: z.array(z.unknown()).optional(),
      parameters: z.looseObject({ binary_data_size: z.int().min(0).optional() }).optional(),
    }),
  ),
})

/** The tensors of an answer, by name. `jsonBytes`: as the header says, null where all of it is JSON. Throws where it makes no sense. */
export function readInferred(body: Buffer, jsonBytes: number | null): Record<string, ExactTensor> {
  const { outputs } = answerSchema.parse(readJson(body.subarray(0, jsonBytes ?? body.length).toString('utf8')))
  let at = jsonBytes ?? body.length
  const read = outputs.map(({ name, shape: dims, datatype, data, parameters }) => {
    const type = typeOf(datatype)
    if (type === null) throw new Error(`${name} is of the type ${datatype}`)
    const size = parameters?.binary_data_size
    if (size === undefined) return [name, parseTensor({ shape: dims, data: data ?? [] }, { type, dims }, name)] as const
    const bytes = body.subarray(at, at + size)
    at += size
    if (bytes.length !== countOf(dims) * byteSizeOf(type)) throw new Error(`${name} has ${bytes.length} bytes`)
    return [name, { type, dims, bytes: new Uint8Array(bytes) }] as const
  })
  return Object.fromEntries(read)
}
