import { afterAll, describe, expect, it } from 'vitest'

import { tinyPreprocessor, tinyTokenizer } from '@vision-queue/models/test/tiny-model'

import { colour, load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'
import { colourGraph, groundingGraph, owlGraph } from '../../test/tiny-graphs.ts'

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

describe('one text of all labels, as Grounding DINO takes it', () => {
  it.each([[null], [16]])('finds each label by its own tokens; texts of %s tokens', async (length) => {
    const model = await load(await writeFolder({ task }, { 'model.onnx': groundingGraph(4, length) }, files))
    const near = { xmin: 0, ymin: 0, xmax: 10, ymax: 15 }
    const far = { xmin: 10, ymin: 15, xmax: 20, ymax: 30 }
    // A colour's own word has 9 and 5, less 4; other colours' are below, every other token of the text has -4.
    const [first, second] = [5, 1].map((logit) => expect.closeTo(1 / (1 + Math.exp(-logit)), 2))
    const answers = await runBatch(model, [
      { image: 'red', input: { candidate_labels: ['b', 'it is a', 'c'] } },
      { image: 'red', input: { candidate_labels: ['It IS A'] } },
      { image: 'blue', input: { candidate_labels: ['what is c', 'a b'] }, parameters: { max_objects: 1 } },
      { image: 'lime', input: { candidate_labels: ['a', 'c'] } },
    ])
    expect(answers).toEqual([
      {
        objects: [
          { label: 'it is a', score: first, box: near },
          { label: 'it is a', score: second, box: far },
        ],
      },
      {
        objects: [
          { label: 'It IS A', score: first, box: near },
          { label: 'It IS A', score: second, box: far },
        ],
      },
      { objects: [{ label: 'what is c', score: first, box: near }] },
      { objects: [] },
    ])
  })

  it('keeps labels apart that have words in common, whatever their order', async () => {
    const model = await load(await writeFolder({ task }, { 'model.onnx': groundingGraph() }, files))
    for (const candidate_labels of [
      ['a', 'a b'],
      ['a b', 'a'],
      ['b', 'c', 'a b', 'd', 'a'],
    ]) {
      const [answer] = await runBatch(model, [{ image: 'lime', input: { candidate_labels } }])
      const found = JSON.stringify(answer)
      expect(found).toContain('"label":"a b"')
      expect(found).not.toContain('"label":"a"')
    }
  })

  it('refuses labels of which the model would not see the last', async () => {
    const model = await load(await writeFolder({ task }, { 'model.onnx': groundingGraph() }, files))
    const labels = Array.from({ length: 8 }, (_, index) => `a ${index}`)
    const image = await colour('red')
    await expect(
      model.prepare({ images: [image], input: { candidate_labels: labels }, parameters: {} }),
    ).rejects.toMatchObject({
      code: 'invalid_input',
      detail:
        'input.candidate_labels: expected labels of 14 tokens together at most (they have 24, with a stop for each).',
    })
  })
})
