import {
  BOOL,
  FLOAT,
  FLOAT16,
  INT32,
  INT64,
  int,
  ints,
  model,
  node,
  UINT8,
  value,
} from '@vision-queue/models/test/onnx-writer'
import { z } from 'zod'

import type { LoadedModel } from '../src/model.ts'
import { load, writeFolder } from './tiny-folder.ts'

// ONNX's other element types.
const INT8 = 3
const UINT16 = 4
const INT16 = 5
export const STRING = 8
const DOUBLE = 11
const UINT32 = 12
const UINT64 = 13

/** Inputs of every type. */
export const everyType = {
  a_float32: FLOAT,
  a_float64: DOUBLE,
  a_float16: FLOAT16,
  a_int8: INT8,
  a_int16: INT16,
  a_int32: INT32,
  a_int64: INT64,
  a_uint8: UINT8,
  a_uint16: UINT16,
  a_uint32: UINT32,
  a_uint64: UINT64,
  a_bool: BOOL,
}
/** Gives back what it is given. */
export const echo = (types: Record<string, number>, dims: (string | number)[] = ['n']): Uint8Array =>
  model(
    ...Object.keys(types).map((name) => node('Identity', [name], `${name}_out`)),
    ...Object.entries(types).flatMap(([name, type]) => [
      value(11, name, type, dims),
      value(12, `${name}_out`, type, dims),
    ]),
  )
/** A row to its double; with `mixes` minus the mean of all rows. */
export const rowsGraph = (mixes = false): Uint8Array =>
  model(
    node('ReduceMean', ['x'], 'mean', [ints('axes', [0]), int('keepdims', 1)]),
    node('Add', ['x', 'x'], mixes ? 'both' : 'twice'),
    ...(mixes ? [node('Sub', ['both', 'mean'], 'twice')] : []),
    value(11, 'x', FLOAT, ['batch', 'width']),
    value(12, 'twice', FLOAT, ['batch', 'width']),
  )

const answerSchema = z.object({
  outputs: z.record(
    z.string(),
    z.object({ dtype: z.string(), shape: z.array(z.int()), data: z.union([z.string(), z.array(z.unknown())]) }),
  ),
})

/** A folder of the task, loaded. */
export async function openTensors(graph: Uint8Array, modelJson: Record<string, unknown> = {}): Promise<LoadedModel> {
  return load(await writeFolder({ task: 'tensors', ...modelJson }, { 'model.onnx': graph }))
}

export interface Sent {
  tensors?: Record<string, unknown>
  parameters?: Record<string, unknown>
  images?: Uint8Array[]
}

export async function prepareTensors(loaded: LoadedModel, { tensors, parameters = {}, images = [] }: Sent) {
  return loaded.prepare({ images, input: tensors === undefined ? {} : { tensors }, parameters })
}

/** The outputs of jobs that are run at a time, or their errors. */
export async function answerTensors(loaded: LoadedModel, jobs: Sent[]) {
  const prepared = await Promise.all(jobs.map(async (job) => prepareTensors(loaded, job)))
  return (await loaded.run(prepared)).map((answer) =>
    answer instanceof Error ? answer : answerSchema.parse(answer).outputs,
  )
}
