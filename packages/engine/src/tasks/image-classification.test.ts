import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, describe, expect, it } from 'vitest'

import { colour, load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'
import { FLOAT, model as onnxFile, node, value } from '@vision-queue/models/test/onnx-writer'
import { colourGraph, type ColourGraphOptions } from '../../test/tiny-graphs.ts'

afterAll(removeFolders)

const plain = { do_rescale: true, do_normalize: false }
const base = { task: 'image-classification', labels: ['red', 'green', 'blue'], preprocessing: plain }
const fourChannels = { channels: 'RGBA', activation: 'sigmoid', labels: ['red', 'green', 'blue', 'alpha'] }
const photos = ['red', 'lime', 'blue', 'red', 'blue'].map((image) => ({ image, parameters: { top_k: 1 } }))
const names = ['red', 'green', 'blue', 'red', 'blue']

describe('a graph that others made', () => {
  it.each([
    ['other names', { input: 'data_0', output: 'out' }, {}],
    ['float16 in and out', { type: 'float16' }, {}],
    ['NHWC', { layout: 'NHWC' }, {}],
    ['bytes', { type: 'uint8', layout: 'NHWC' }, { preprocessing: { do_rescale: false, do_normalize: false } }],
    ['BGR', {}, { channels: 'BGR', labels: ['blue', 'green', 'red'] }],
    ['a batch fixed to 1', { batch: 1 }, {}],
    ['a batch fixed to 4', { batch: 4 }, {}],
    ['a softmax at its end', { end: 'Softmax' }, {}],
    ['a sigmoid at its end', { end: 'Sigmoid' }, {}],
    ['NHWC of four channels', { layout: 'NHWC', channels: 4, size: 32 }, fourChannels],
    [
      'four channels',
      { channels: 4, size: 32 },
      { ...fourChannels, channels: 'BGRA', labels: ['blue', 'green', 'red', 'a'] },
    ],
    ['32 x 32 pixels', { size: 32, type: 'float16', batch: 8 }, {}],
  ] satisfies [string, ColourGraphOptions, object][])('serves right answers: %s', async (_, graph, extras) => {
    const folder = await writeFolder({ ...base, ...extras }, { 'model.onnx': colourGraph(graph) })
    const answers = await runBatch(await load(folder), photos)
    expect(answers).toMatchObject(names.map((label) => ({ labels: [{ label }] })))
  })

  it('is given grey where it takes one channel', async () => {
    const graph = colourGraph({ channels: 1, size: 32, factor: 10, end: 'Sigmoid' })
    const folder = await writeFolder({ ...base, labels: ['bright'] }, { 'model.onnx': graph })
    const [white, black] = await runBatch(await load(folder), [{ image: 'white' }, { image: 'black' }])
    expect(white).toMatchObject({ labels: [{ score: expect.closeTo(1, 3) }] })
    expect(black).toMatchObject({ labels: [{ score: expect.closeTo(0.5, 3) }] })
  })

  it('is not given a second softmax where it ends in one, unless model.json says so', async () => {
    const graphs = { 'model.onnx': colourGraph({ end: 'Softmax', factor: 100 }) }
    const read = await load(await writeFolder(base, graphs))
    const told = await load(await writeFolder({ ...base, activation: 'softmax' }, graphs))
    expect(await runBatch(read, [{ image: 'red' }])).toMatchObject([
      { labels: [{ score: expect.closeTo(1, 3) }, {}, {}] },
    ])
    expect(await runBatch(told, [{ image: 'red' }])).toMatchObject([
      { labels: [{ score: expect.closeTo(0.576, 2) }, {}, {}] },
    ])
  })

  it('gives each label a score of its own with sigmoid', async () => {
    const folder = await writeFolder({ ...base, activation: 'sigmoid' }, { 'model.onnx': colourGraph({ factor: 9 }) })
    const [answer] = await runBatch(await load(folder), [{ image: 'white' }])
    expect(answer).toMatchObject({ labels: [{ score: expect.closeTo(1, 3) }, { score: expect.closeTo(1, 3) }, {}] })
  })

  it('of four channels is asked which they are', async () => {
    const folder = await writeFolder(base, { 'model.onnx': colourGraph({ channels: 4, size: 32, layout: 'NHWC' }) })
    await expect(load(folder)).rejects.toMatchObject({
      detail: expect.stringContaining('`channels` in model.json, RGBA or BGRA'),
    })
  })

  it("is refused with ONNX Runtime's own reason, without paths of this machine", async () => {
    const unknown = onnxFile(
      node('NoSuchOperator', ['pixel_values'], 'logits'),
      value(11, 'pixel_values', FLOAT, ['n', 3, 4, 4]),
      value(12, 'logits', FLOAT, ['n', 3]),
    )
    const folder = await writeFolder(base, { 'model.onnx': unknown })
    const error: unknown = await load(folder).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      detail: expect.stringMatching(/^onnx\/model\.onnx can not be loaded by ONNX Runtime: .*NoSuchOperator/),
    })
    expect(String(error)).not.toContain(folder)
  })

  it('never has more jobs in a batch than it is fixed to', async () => {
    const folder = await writeFolder(base, { 'model.onnx': colourGraph({ batch: 8 }) })
    expect((await load(folder)).manifest.maxBatchSize).toBe(8)
  })

  it('finds its weights in a file beside it, and is refused by the name of one that is missing', async () => {
    const graph = colourGraph({ weightFile: 'model.onnx_data', factor: 2 })
    const two = new Uint8Array(Float32Array.of(2).buffer)
    const whole = await writeFolder(base, { 'model.onnx': graph, 'model.onnx_data': two })
    expect(await runBatch(await load(whole), photos)).toMatchObject(names.map((label) => ({ labels: [{ label }] })))
    const part = await writeFolder(base, { 'model.onnx': graph })
    await expect(load(part)).rejects.toMatchObject({
      detail: 'onnx/model.onnx_data is missing, where onnx/model.onnx keeps its weights.',
    })
  })
})

describe('labels and digests', () => {
  it.each([
    ['one a line', 'red\ngreen\r\nblue\n'],
    ['index,label', '2,blue\n0,red\n1,green\n'],
  ])('reads labels of a file, %s', async (_, text) => {
    const folder = await writeFolder({ ...base, labels: 'names.txt' })
    await writeFile(join(folder, 'names.txt'), text)
    expect((await load(folder)).manifest.labels).toEqual(['red', 'green', 'blue'])
  })

  it('refuses a file whose SHA-256 is another', async () => {
    const folder = await writeFolder({ ...base, sha256: { 'onnx/model.onnx': '0'.repeat(64) } })
    await expect(load(folder)).rejects.toMatchObject({
      code: 'model_unavailable',
      detail: expect.stringMatching(
        /^tiny\/1\/onnx\/model\.onnx has the SHA-256 [0-9a-f]{64}, model\.json: sha256 says 0/,
      ),
    })
  })

  it.each([
    [{ labels: 'none.txt' }, 'none.txt is missing'],
    [{ labels: ['a', 'b'] }, 'as many labels in config.json or model.json (2) as logits has (3)'],
    [{ channels: 'L' }, 'channels in model.json that fit the graph: L, which takes 3'],
    [{ inputs: { image: 'x' } }, 'an input named x; the graph has: pixel_values'],
    [{ output: 'y' }, "output in model.json (y) to be one of the graph's; the graph has: logits"],
    [{ preprocessing: { ...plain, size: 8 } }, 'makes [3, 8, 8], pixel_values takes [3, 4, 4]'],
    [
      { preprocessing: { ...plain, size: { longest_edge: 8 }, max_image_size: { longest_edge: 4 } } },
      'images as one tensor each: by do_image_splitting of its preprocessing they become several pieces',
    ],
    [{ task: 'visual-question-answering' }, 'needs tokenizer.json'],
    [{ task: 'zero-shot-image-classification' }, 'needs tokenizer.json'],
  ])('refuses %j in a sentence', async (extras, complaint) => {
    await expect(load(await writeFolder({ ...base, ...extras }))).rejects.toMatchObject({
      code: 'model_unavailable',
      detail: expect.stringContaining(complaint),
    })
  })

  it('refuses a job with another number of images than one', async () => {
    const model = await load(await writeFolder(base))
    const [red, blue] = [await colour('red'), await colour('blue')]
    for (const images of [[], [red, blue]]) {
      const prepared = model.prepare({ images, input: {}, parameters: {} })
      await expect(prepared).rejects.toMatchObject({
        code: 'invalid_input',
        detail: `The model takes one image; the job has ${images.length}.`,
      })
    }
  })

  it('refuses an image of another size where the model does not resize, before it is in a batch', async () => {
    const folder = await writeFolder(
      { ...base, preprocessing: { ...plain, do_resize: false } },
      { 'model.onnx': colourGraph({ size: 8 }) },
    )
    await expect(runBatch(await load(folder), [{ image: 'red' }])).rejects.toMatchObject({
      code: 'invalid_input',
      detail: 'This model takes images of 8 x 8 pixels only.',
    })
  })
})
