import { FLOAT, INT64, model, node, value, weight } from '@vision-queue/models/test/onnx-writer'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import { answerTensors, echo, openTensors, prepareTensors, STRING } from '../../test/tensor-models.ts'
import { colour, removeFolders } from '../../test/tiny-folder.ts'

afterAll(removeFolders)

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
    const loaded = await openTensors(echo({ x: FLOAT }, ['rows', 2]))
    const sent = Object.keys(tensors).length === 0 ? {} : { tensors }
    await expect(prepareTensors(loaded, sent)).rejects.toMatchObject({
      code: 'invalid_input',
      detail: expect.stringContaining(complaint),
    })
  })

  it.each([
    [{ i: { data: [1.5] } }, '1.5 at 0 is no int64'],
    [{ i: { data: [2 ** 53] } }, 'is no int64'],
    [{ i: { data: ['9223372036854775808'] } }, 'is no int64'],
    [{ i: { data: ['one'] } }, 'is no int64'],
  ])('%j, of a type of whole numbers', async (tensors, complaint) => {
    const loaded = await openTensors(echo({ i: INT64 }))
    await expect(prepareTensors(loaded, { tensors })).rejects.toMatchObject({
      detail: expect.stringContaining(complaint),
    })
  })

  it('for tensors of a batch that have different numbers of rows', async () => {
    const loaded = await openTensors(echo({ a: FLOAT, b: FLOAT }, ['batch', 1]))
    await expect(
      prepareTensors(loaded, { tensors: { a: { data: [[1]] }, b: { data: [[1], [2]] } } }),
    ).rejects.toMatchObject({
      detail: 'input.tensors.b.shape: expected 1 rows as a has (there are 2).',
    })
  })

  it('for outputs that are not there, and for images that the model does not take', async () => {
    const loaded = await openTensors(echo({ x: FLOAT }))
    const tensors = { x: { data: [1] } }
    await expect(prepareTensors(loaded, { tensors, parameters: { outputs: ['y'] } })).rejects.toMatchObject({
      detail: 'parameters.outputs: expected x_out (there is no y).',
    })
    expect(loaded.manifest.images).toEqual({ min: 0, max: 0 })
    await expect(prepareTensors(loaded, { tensors, images: [await colour('red')] })).rejects.toMatchObject({
      detail: expect.stringContaining('input.image: expected no image'),
    })
  })

  it('for outputs that would be too large, which are not run where the graph says their size', async () => {
    const loaded = await openTensors(echo({ x: FLOAT }, ['batch', 2]), { max_output_bytes: 16 })
    await expect(
      prepareTensors(loaded, {
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
    const unknown = await openTensors(echo({ x: FLOAT }, ['batch', 'width']), { max_output_bytes: 16 })
    const [small, large] = await answerTensors(
      unknown,
      [[[1, 2]], [[1, 2, 3, 4, 5]]].map((data) => ({ tensors: { x: { data } } })),
    )
    expect(small).toMatchObject({ x_out: { data: [1, 2] } })
    expect(large).toMatchObject({ code: 'invalid_input' })
  })
})

describe('a folder', () => {
  it('announces the tensors of its graph, so that a job is refused before it is queued', async () => {
    const { manifest } = await openTensors(echo({ x: FLOAT, ids: INT64 }, ['batch', 2]))
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
    expect((await openTensors(graph)).manifest.task).toBe('tensors')
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
    await expect(openTensors(strict)).rejects.toMatchObject({
      code: 'model_unavailable',
      detail: expect.stringContaining('sample_shapes in model.json'),
    })
    await expect(openTensors(strict, { sample_shapes: { x: [2] } })).rejects.toMatchObject({
      detail: expect.stringContaining('as the graph has them: x [any, any]'),
    })
    expect((await openTensors(strict, { sample_shapes: { x: [1, 20] } })).manifest.maxBatchSize).toBe(32)
  })

  it('is refused for an input of strings, by its name', async () => {
    const graph = model(
      node('Identity', ['words'], 'same'),
      value(11, 'words', STRING, ['n']),
      value(12, 'same', STRING, ['n']),
    )
    await expect(openTensors(graph)).rejects.toMatchObject({
      detail: 'tiny/1: tensors needs inputs that are tensors of numbers; words is string.',
    })
  })
})
