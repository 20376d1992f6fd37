import { FLOAT, INT64, model, node, value, weight } from '@vision-queue/models/test/onnx-writer'
import { afterAll, describe, expect, it } from 'vitest'

import {
  answerTensors,
  echo,
  everyType,
  openTensors,
  prepareTensors,
  rowsGraph,
  type Sent,
} from '../../test/tensor-models.ts'
import { colour, removeFolders } from '../../test/tiny-folder.ts'
import { colourGraph } from '../../test/tiny-graphs.ts'

afterAll(removeFolders)

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
    const loaded = await openTensors(echo(everyType))
    const tensors = Object.fromEntries(Object.entries(ends).map(([name, data]) => [name, { data }]))
    const [found] = await answerTensors(loaded, [{ tensors }])
    const expected = Object.entries(ends).map(([name, data]) => [
      `${name}_out`,
      { dtype: name.replace('a_', ''), shape: [5], data },
    ])
    expect(found).toEqual(Object.fromEntries(expected))
  })

  it('as bytes, sent and answered', async () => {
    const loaded = await openTensors(echo(everyType))
    const asNumbers = Object.fromEntries(Object.entries(ends).map(([name, data]) => [name, { data }]))
    const encoding = { encoding: 'base64' }
    const [first] = await answerTensors(loaded, [{ tensors: asNumbers, parameters: encoding }])
    if (first === undefined || first instanceof Error) throw new Error('no answer')
    expect(first['a_int16_out']?.data).toBe(Buffer.from(Int16Array.from(ends.a_int16).buffer).toString('base64'))
    const asBytes = Object.fromEntries(
      Object.entries(first).map(([name, tensor]) => [name.replace('_out', ''), tensor]),
    )
    const [again] = await answerTensors(loaded, [{ tensors: asBytes, parameters: encoding }])
    expect(again).toEqual(first)
  })

  it('whole numbers as numbers where all of them are exact', async () => {
    const loaded = await openTensors(echo({ ids: INT64 }))
    const [found] = await answerTensors(loaded, [{ tensors: { ids: { data: [16777217, -9007199254740991] } } }])
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
    const loaded = await openTensors(echo({ x: FLOAT }, ['rows', 'columns']))
    const [found] = await answerTensors(loaded, [{ tensors: { x: { data, shape } } }])
    expect(found).toEqual({ x_out: { dtype: 'float32', shape: [2, 3], data: [1, 2, 3, 4, 5, 6] } })
  })

  it('a tensor without dimensions, and one without numbers', async () => {
    const loaded = await openTensors(echo({ scale: FLOAT }, []))
    expect(await answerTensors(loaded, [{ tensors: { scale: { data: 2.5 } } }])).toEqual([
      { scale_out: { dtype: 'float32', shape: [], data: [2.5] } },
    ])
    const empty = await openTensors(echo({ x: FLOAT }, ['rows', 2]))
    expect(await answerTensors(empty, [{ tensors: { x: { data: [], shape: [0, 2] } } }])).toEqual([
      { x_out: { dtype: 'float32', shape: [0, 2], data: [] } },
    ])
  })
})

describe('jobs that run together', () => {
  const job = (...rows: number[][]): Sent => ({ tensors: { x: { data: rows } }, parameters: { outputs: ['twice'] } })

  it('get their own rows, one or several, beside jobs of other shapes', async () => {
    const loaded = await openTensors(rowsGraph(), { max_batch_size: 4 })
    expect(loaded.manifest.maxBatchSize).toBe(4)
    const jobs = [job([1, 2]), job([3, 4], [5, 6]), job([7, 8, 9]), job([10, 11]), job([12, 13], [14, 15])]
    const together = await answerTensors(loaded, jobs)
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
    for (const [index, one] of jobs.entries()) expect(await answerTensors(loaded, [one])).toEqual([together[index]])
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
    const loaded = await openTensors(graph)
    expect(loaded.manifest.maxBatchSize).toBe(1)
  })

  it('answer as alone where one of them fails', async () => {
    const graph = model(
      weight('table', [3, 2], [1, 2, 3, 4, 5, 6]),
      node('Gather', ['table', 'ids'], 'rows'),
      value(11, 'ids', INT64, ['batch']),
      value(12, 'rows', FLOAT, ['batch', 2]),
    )
    const loaded = await openTensors(graph)
    expect(loaded.manifest.maxBatchSize).toBe(32)
    const [good, bad, other] = await answerTensors(
      loaded,
      [[0], [99], [2]].map((data) => ({ tensors: { ids: { data } } })),
    )
    expect(good).toMatchObject({ rows: { data: [1, 2] } })
    expect(bad).toMatchObject({ code: 'inference_failed' })
    expect(other).toMatchObject({ rows: { data: [5, 6] } })
  })
})

describe('an image takes the place of its tensor', () => {
  const preprocessing = { do_rescale: true, do_normalize: false }

  it('by the preprocessing of the folder, alone and beside a job of tensors', async () => {
    const loaded = await openTensors(colourGraph(), { preprocessing })
    expect(loaded.manifest.images).toEqual({ min: 0, max: 1 })
    const blue = Array.from({ length: 48 }, (_, index) => (index >= 32 ? 1 : 0))
    const found = await answerTensors(loaded, [
      { images: [await colour('red')] },
      { tensors: { pixel_values: { data: blue, shape: [1, 3, 4, 4] } } },
    ])
    expect(found).toEqual([
      { logits: { dtype: 'float32', shape: [1, 3, 1, 1], data: [1, 0, 0] } },
      { logits: { dtype: 'float32', shape: [1, 3, 1, 1], data: [0, 0, 1] } },
    ])
  })

  it('and is refused beside it; one of them has to be there', async () => {
    const loaded = await openTensors(colourGraph(), { preprocessing })
    const pixels = { pixel_values: { data: Array.from({ length: 48 }, () => 0), shape: [1, 3, 4, 4] } }
    await expect(prepareTensors(loaded, { tensors: pixels, images: [await colour('red')] })).rejects.toMatchObject({
      detail: 'input.tensors.pixel_values: expected none, as the image of the job fills it.',
    })
    await expect(prepareTensors(loaded, {})).rejects.toMatchObject({
      detail: 'input.tensors.pixel_values: expected float32 [any, 3, 4, 4], or input.image.',
    })
  })
})
