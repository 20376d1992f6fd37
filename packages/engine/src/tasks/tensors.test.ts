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
  weight,
} from '@vision-queue/models/test/onnx-writer'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import { colour, load, removeFolders, writeFolder } from '../../test/tiny-folder.ts'
import { colourGraph } from '../../test/tiny-graphs.ts'
import type { LoadedModel } from '../model.ts'

afterAll(removeFolders)

// ONNX's other element types.
const INT8 = 3
const UINT16 = 4
const INT16 = 5
const STRING = 8
const DOUBLE = 11
const UINT32 = 12
const UINT64 = 13

/** Gives back what it is given, of every type. */
const everyType = {
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
const echo = (types: Record<string, number>, dims: (string | number)[] = ['n']): Uint8Array =>
  model(
    ...Object.keys(types).map((name) => node('Identity', [name], `${name}_out`)),
    ...Object.entries(types).flatMap(([name, type]) => [
      value(11, name, type, dims),
      value(12, `${name}_out`, type, dims),
    ]),
  )
/** A row to its double; with `mixes` minus the mean of all rows. */
const rowsGraph = (mixes = false): Uint8Array =>
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

async function open(graph: Uint8Array, modelJson: Record<string, unknown> = {}): Promise<LoadedModel> {
  return load(await writeFolder({ task: 'tensors', ...modelJson }, { 'model.onnx': graph }))
}

interface Sent {
  tensors?: Record<string, unknown>
  parameters?: Record<string, unknown>
  images?: Uint8Array[]
}

async function prepare(loaded: LoadedModel, { tensors, parameters = {}, images = [] }: Sent) {
  return loaded.prepare({ images, input: tensors === undefined ? {} : { tensors }, parameters })
}

async function answers(loaded: LoadedModel, jobs: Sent[]) {
  const prepared = await Promise.all(jobs.map(async (job) => prepare(loaded, job)))
  return (await loaded.run(prepared)).map((answer) =>
    answer instanceof Error ? answer : answerSchema.parse(answer).outputs,
  )
}

const numbers = (...values: number[]) => values
/** Of each type the ends of what it holds. */
const ends = {
  a_float32: ['NaN', 'Infinity', '-Infinity', 0.100000001, -3.40282347e38],
  a_float64: [0.1, 5e-324, 1.7976931348623157e308, 'NaN', -1],
  a_float16: [0.099976, 65504, -5.9605e-8, 'NaN', '-Infinity'],
  a_int8: numbers(-128, 127, 0, 1, -1),
  a_int16: numbers(-32768, 32767, 0, 1, -1),
  a_int32: numbers(-2147483648, 2147483647, 16777217, 1, -1),
  a_int64: ['-9223372036854775808', '9223372036854775807', '16777217', '9007199254740993', '-1'],
  a_uint8: numbers(0, 255, 1, 2, 3),
  a_uint16: numbers(0, 65535, 1, 2, 3),
  a_uint32: numbers(0, 4294967295, 16777217, 2, 3),
  a_uint64: ['0', '18446744073709551615', '16777217', '9007199254740993', '3'],
  a_bool: [true, false, true, true, false],
}

describe('tensors come back to the bit', () => {
  it('as numbers, of every type, and as strings what JSON has no numbers for', async () => {
    const loaded = await open(echo(everyType))
    const tensors = Object.fromEntries(Object.entries(ends).map(([name, data]) => [name, { data }]))
    const [found] = await answers(loaded, [{ tensors }])
    const expected = Object.entries(ends).map(([name, data]) => [
      `${name}_out`,
      { dtype: name.replace('a_', ''), shape: [5], data },
    ])
    expect(found).toEqual(Object.fromEntries(expected))
  })

  it('as bytes, sent and answered', async () => {
    const loaded = await open(echo(everyType))
    const asNumbers = Object.fromEntries(Object.entries(ends).map(([name, data]) => [name, { data }]))
    const encoding = { encoding: 'base64' }
    const [first] = await answers(loaded, [{ tensors: asNumbers, parameters: encoding }])
    if (first === undefined || first instanceof Error) throw new Error('no answer')
    expect(first['a_int16_out']?.data).toBe(Buffer.from(Int16Array.from(ends.a_int16).buffer).toString('base64'))
    const asBytes = Object.fromEntries(
      Object.entries(first).map(([name, tensor]) => [name.replace('_out', ''), tensor]),
    )
    const [again] = await answers(loaded, [{ tensors: asBytes, parameters: encoding }])
    expect(again).toEqual(first)
  })

  it('whole numbers as numbers where all of them are exact', async () => {
    const loaded = await open(echo({ ids: INT64 }))
    const [found] = await answers(loaded, [{ tensors: { ids: { data: [16777217, -9007199254740991] } } }])
    expect(found).toMatchObject({ ids_out: { data: [16777217, -9007199254740991] } })
  })

  it.each([
    ['flat', [1, 2, 3, 4, 5, 6], [2, 3]],
    [
      'nested',
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      undefined,
    ],
    [
      'nested, with its shape',
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      [2, 3],
    ],
  ])('%s', async (_, data, shape) => {
    const loaded = await open(echo({ x: FLOAT }, ['rows', 'columns']))
    const [found] = await answers(loaded, [{ tensors: { x: { data, shape } } }])
    expect(found).toEqual({ x_out: { dtype: 'float32', shape: [2, 3], data: [1, 2, 3, 4, 5, 6] } })
  })

  it('a tensor without dimensions, and one without numbers', async () => {
    const loaded = await open(echo({ scale: FLOAT }, []))
    expect(await answers(loaded, [{ tensors: { scale: { data: 2.5 } } }])).toEqual([
      { scale_out: { dtype: 'float32', shape: [], data: [2.5] } },
    ])
    const empty = await open(echo({ x: FLOAT }, ['rows', 2]))
    expect(await answers(empty, [{ tensors: { x: { data: [], shape: [0, 2] } } }])).toEqual([
      { x_out: { dtype: 'float32', shape: [0, 2], data: [] } },
    ])
  })
})

describe('jobs that run together', () => {
  const job = (...rows: number[][]): Sent => ({ tensors: { x: { data: rows } }, parameters: { outputs: ['twice'] } })

  it('get their own rows, one or several, beside jobs of other shapes', async () => {
    const loaded = await open(rowsGraph(), { max_batch_size: 4 })
    expect(loaded.manifest.maxBatchSize).toBe(4)
    const jobs = [job([1, 2]), job([3, 4], [5, 6]), job([7, 8, 9]), job([10, 11]), job([12, 13], [14, 15])]
    const together = await answers(loaded, jobs)
    expect(together.map((answer) => (answer instanceof Error ? answer : answer['twice']))).toEqual(
      [
        [2, 4],
        [6, 8, 10, 12],
        [14, 16, 18],
        [20, 22],
        [24, 26, 28, 30],
      ].map((data, index) => ({
        dtype: 'float32',
        shape: [
          [1, 2],
          [2, 2],
          [1, 3],
          [1, 2],
          [2, 2],
        ][index],
        data,
      })),
    )
    for (const [index, one] of jobs.entries()) expect(await answers(loaded, [one])).toEqual([together[index]])
  })

  it.each([
    ['one that computes a row from the others', rowsGraph(true)],
    [
      'one whose first dimensions have other names',
      model(node('Identity', ['a'], 'x'), value(11, 'a', FLOAT, ['n', 2]), value(12, 'x', FLOAT, ['m', 2])),
    ],
    [
      'one of two rows',
      model(node('Identity', ['a'], 'x'), value(11, 'a', FLOAT, [2, 2]), value(12, 'x', FLOAT, [2, 2])),
    ],
  ])('are none where the graph is %s', async (_, graph) => {
    const loaded = await open(graph)
    expect(loaded.manifest.maxBatchSize).toBe(1)
  })

  it('answer as alone where one of them fails', async () => {
    const graph = model(
      weight('table', [3, 2], [1, 2, 3, 4, 5, 6]),
      node('Gather', ['table', 'ids'], 'rows'),
      value(11, 'ids', INT64, ['batch']),
      value(12, 'rows', FLOAT, ['batch', 2]),
    )
    const loaded = await open(graph)
    expect(loaded.manifest.maxBatchSize).toBe(32)
    const [good, bad, other] = await answers(
      loaded,
      [[0], [99], [2]].map((data) => ({ tensors: { ids: { data } } })),
    )
    expect(good).toMatchObject({ rows: { data: [1, 2] } })
    expect(bad).toMatchObject({ code: 'inference_failed' })
    expect(other).toMatchObject({ rows: { data: [5, 6] } })
  })
})

describe('a job is refused before anything is run, in a sentence that names the tensor', () => {
  it.each([
    [{}, 'input.tensors: '],
    [{ y: { data: [[1, 2]] } }, 'input.tensors.x: '],
    [{ x: { data: [[1, 2]] }, y: { data: [1] } }, 'input.tensors.y: '],
    [{ x: { data: [[1, 2, 3]] } }, 'input.tensors.x.shape: expected float32 [any, 2] (the shape is [1, 3])'],
    [{ x: { data: [1, 2] } }, 'input.tensors.x.shape: expected float32 [any, 2] (the shape is [2])'],
    [
      { x: { data: [1, 2, 3], shape: [2, 2] } },
      'input.tensors.x.data: expected float32 [any, 2] (4 numbers for [2, 2], there are 3)',
    ],
    [
      { x: { data: [[1, 2], [3]] } },
      'input.tensors.x.data: expected float32 [any, 2] (4 numbers for [2, 2], there are 3)',
    ],
    [
      {
        x: {
          data: [
            [1, 2],
            [3, 4],
          ],
          shape: [1, 2],
        },
      },
      '(2 numbers for [1, 2], there are 4)',
    ],
    [{ x: { data: [[1, [2]]] } }, 'the lists hold something else than numbers, at 1'],
    [{ x: { data: [[1, 'two']] } }, 'input.tensors.x.data: expected float32 [any, 2] ("two" at 1 is no float32)'],
    [{ x: { data: [[1, 1e39]] } }, '(1e+39 at 1 is no float32)'],
    [{ x: { dtype: 'float64', data: [[1, 2]] } }, 'input.tensors.x.dtype: '],
    [{ x: { data: 'AAAA' } }, 'input.tensors.x.shape: expected float32 [any, 2] (base64 needs a shape)'],
    [{ x: { data: 'AAAAAA==', shape: [1, 2] } }, '(8 bytes for [1, 2], there are 4)'],
    [{ x: { data: 'no base64', shape: [1, 2] } }, '(the string is no base64)'],
  ])('%j', async (tensors, complaint) => {
    const loaded = await open(echo({ x: FLOAT }, ['rows', 2]))
    const sent = Object.keys(tensors).length === 0 ? {} : { tensors }
    await expect(prepare(loaded, sent)).rejects.toMatchObject({
      code: 'invalid_input',
      detail: expect.stringContaining(complaint),
    })
  })

  it.each([
    [{ i: { data: [1.5] } }, '1.5 at 0 is no int64'],
    [{ i: { data: [9007199254740993] } }, 'is no int64'],
    [{ i: { data: ['9223372036854775808'] } }, 'is no int64'],
    [{ i: { data: ['one'] } }, 'is no int64'],
  ])('%j, of a type of whole numbers', async (tensors, complaint) => {
    const loaded = await open(echo({ i: INT64 }))
    await expect(prepare(loaded, { tensors })).rejects.toMatchObject({ detail: expect.stringContaining(complaint) })
  })

  it('for tensors of a batch that have different numbers of rows', async () => {
    const loaded = await open(echo({ a: FLOAT, b: FLOAT }, ['batch', 1]))
    await expect(prepare(loaded, { tensors: { a: { data: [[1]] }, b: { data: [[1], [2]] } } })).rejects.toMatchObject({
      detail: 'input.tensors.b.shape: expected 1 rows as a has (there are 2).',
    })
  })

  it('for outputs that are not there, and for images that the model does not take', async () => {
    const loaded = await open(echo({ x: FLOAT }))
    const tensors = { x: { data: [1] } }
    await expect(prepare(loaded, { tensors, parameters: { outputs: ['y'] } })).rejects.toMatchObject({
      detail: 'parameters.outputs: expected x_out (there is no y).',
    })
    expect(loaded.manifest.images).toEqual({ min: 0, max: 0 })
    await expect(prepare(loaded, { tensors, images: [await colour('red')] })).rejects.toMatchObject({
      detail: expect.stringContaining('input.image: expected no image'),
    })
  })

  it('for outputs that would be too large, which are not run where the graph says their size', async () => {
    const loaded = await open(echo({ x: FLOAT }, ['batch', 2]), { max_output_bytes: 16 })
    await expect(
      prepare(loaded, {
        tensors: {
          x: {
            data: [
              [1, 2],
              [3, 4],
              [5, 6],
            ],
          },
        },
      }),
    ).rejects.toMatchObject({
      detail: expect.stringContaining('16 bytes at most (they have 24; max_output_bytes'),
    })
    const unknown = await open(echo({ x: FLOAT }, ['batch', 'width']), { max_output_bytes: 16 })
    const [small, large] = await answers(
      unknown,
      [[[1, 2]], [[1, 2, 3, 4, 5]]].map((data) => ({ tensors: { x: { data } } })),
    )
    expect(small).toMatchObject({ x_out: { data: [1, 2] } })
    expect(large).toMatchObject({ code: 'invalid_input' })
  })
})

describe('an image takes the place of its tensor', () => {
  const preprocessing = { do_rescale: true, do_normalize: false }

  it('by the preprocessing of the folder, alone and beside a job of tensors', async () => {
    const loaded = await open(colourGraph(), { preprocessing })
    expect(loaded.manifest.images).toEqual({ min: 0, max: 1 })
    const blue = Array.from({ length: 48 }, (_, index) => (index >= 32 ? 1 : 0))
    const found = await answers(loaded, [
      { images: [await colour('red')] },
      { tensors: { pixel_values: { data: blue, shape: [1, 3, 4, 4] } } },
    ])
    expect(found).toEqual([
      { logits: { dtype: 'float32', shape: [1, 3, 1, 1], data: [1, 0, 0] } },
      { logits: { dtype: 'float32', shape: [1, 3, 1, 1], data: [0, 0, 1] } },
    ])
  })

  it('and is refused beside it; one of them has to be there', async () => {
    const loaded = await open(colourGraph(), { preprocessing })
    const pixels = { pixel_values: { data: Array.from({ length: 48 }, () => 0), shape: [1, 3, 4, 4] } }
    await expect(prepare(loaded, { tensors: pixels, images: [await colour('red')] })).rejects.toMatchObject({
      detail: 'input.tensors.pixel_values: expected none, as the image of the job fills it.',
    })
    await expect(prepare(loaded, {})).rejects.toMatchObject({
      detail: 'input.tensors.pixel_values: expected float32 [any, 3, 4, 4], or input.image.',
    })
  })
})

describe('a folder', () => {
  it('announces the tensors of its graph, so that a job is refused before it is queued', async () => {
    const { manifest } = await open(echo({ x: FLOAT, ids: INT64 }, ['batch', 2]))
    const announced = z.fromJSONSchema(manifest.inputSchema)
    const x = { data: [[1, 2]] }
    expect(announced.safeParse({ tensors: { x, ids: { dtype: 'int64', data: [[1, 2]] } } }).success).toBe(true)
    for (const tensors of [
      { x },
      { x, ids: x, more: x },
      { x, ids: { dtype: 'float32', data: [[1, 2]] } },
      { x, ids: 5 },
    ]) {
      expect(announced.safeParse({ tensors }).success).toBe(false)
    }
  })

  it('of a graph that runs with some sizes only is warmed up with one that is found, or stated', async () => {
    // 20 numbers, in rows of five.
    const graph = model(
      weight(
        'ones',
        [1, 20],
        Array.from({ length: 20 }, () => 1),
      ),
      node('Add', ['x', 'ones'], 'y'),
      value(11, 'x', FLOAT, ['n', 'width']),
      value(12, 'y', FLOAT, ['m', 'width']),
    )
    // Adding goes with a width of 1, too.
    expect((await open(graph)).manifest.task).toBe('tensors')
    const strict = model(
      weight(
        'matrix',
        [20, 1],
        Array.from({ length: 20 }, () => 1),
      ),
      node('MatMul', ['x', 'matrix'], 'y'),
      value(11, 'x', FLOAT, ['n', 'width']),
      value(12, 'y', FLOAT, ['n', 1]),
    )
    await expect(open(strict)).rejects.toMatchObject({
      code: 'model_unavailable',
      detail: expect.stringContaining('sample_shapes in model.json'),
    })
    await expect(open(strict, { sample_shapes: { x: [2] } })).rejects.toMatchObject({
      detail: expect.stringContaining('as the graph has them: x [any, any]'),
    })
    expect((await open(strict, { sample_shapes: { x: [1, 20] } })).manifest.maxBatchSize).toBe(32)
  })

  it('is refused for an input of strings, by its name', async () => {
    const graph = model(
      node('Identity', ['words'], 'same'),
      value(11, 'words', STRING, ['n']),
      value(12, 'same', STRING, ['n']),
    )
    await expect(open(graph)).rejects.toMatchObject({
      detail: 'tiny/1: tensors needs inputs that are tensors of numbers; words is string.',
    })
  })
})
