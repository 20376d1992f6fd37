import { afterAll, expect, it } from 'vitest'

import { tinyPreprocessor, tinyTokenizer } from '@vision-queue/models/test/tiny-model'

import { colour, load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'
import { colourGraph, owlGraph } from '../../test/tiny-graphs.ts'

afterAll(removeFolders)

const files = {
  'tokenizer.json': tinyTokenizer,
  'tokenizer_config.json': { model_max_length: 16, pad_token: '[PAD]' },
  'preprocessor_config.json': { ...tinyPreprocessor, size: { height: 4, width: 4 } },
}
const task = 'zero-shot-object-detection'

it('finds what the labels of each job name, in pixels of the original', async () => {
  const model = await load(await writeFolder({ task }, { 'model.onnx': owlGraph() }, files))
  expect(model.manifest.maxBatchSize).toBe(1)
  const answers = await runBatch(model, [
    { image: 'red', input: { candidate_labels: ['b', 'it is a', 'c'] } },
    { image: 'blue', input: { candidate_labels: ['c'] }, parameters: { max_objects: 1 } },
    { image: 'blue', input: { candidate_labels: ['a'] } },
  ])
  const near = { xmin: 0, ymin: 0, xmax: 10, ymax: 15 }
  const far = { xmin: 10, ymin: 15, xmax: 20, ymax: 30 }
  expect(answers).toEqual([
    {
      objects: [
        { label: 'it is a', score: expect.closeTo(1, 2), box: near },
        { label: 'it is a', score: expect.closeTo(0.99, 1), box: far },
      ],
    },
    { objects: [{ label: 'c', score: expect.closeTo(1, 2), box: near }] },
    { objects: [] },
  ])
})

it.each([[{}], [{ candidate_labels: [] }], [{ candidate_labels: ['a', 'a'] }]])('refuses %j', async (input) => {
  const model = await load(await writeFolder({ task }, { 'model.onnx': owlGraph() }, files))
  const prepared = model.prepare({ images: [await colour('red')], input, parameters: {} })
  await expect(prepared).rejects.toMatchObject({
    code: 'invalid_input',
    detail: expect.stringContaining('candidate_labels'),
  })
})

it('names the outputs that a graph lacks', async () => {
  const folder = await writeFolder({ task }, { 'model.onnx': colourGraph() }, files)
  await expect(load(folder)).rejects.toMatchObject({
    detail: 'tiny/1: zero-shot-object-detection needs an output named pred_boxes; the graph has: logits.',
  })
})
