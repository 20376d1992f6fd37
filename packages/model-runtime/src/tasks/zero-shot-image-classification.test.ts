import { afterAll, describe, expect, it } from 'vitest'

import { colour, load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'
import { tinyPreprocessor, tinyTokenizer } from '../../test/tiny-model.ts'
import { colourGraph, jointGraph, textTower } from '../../test/tiny-graphs.ts'
import { createLru } from '../lru.ts'

afterAll(removeFolders)

const files = {
  'tokenizer.json': tinyTokenizer,
  'tokenizer_config.json': { model_max_length: 16, pad_token: '[PAD]' },
  'preprocessor_config.json': { ...tinyPreprocessor, size: { height: 4, width: 4 } },
  'config.json': { logit_scale_init_value: Math.log(20) },
}
const towers = { 'vision_model.onnx': colourGraph({ output: 'image_embeds' }), 'text_model.onnx': textTower() }

/** In the texts of the tiny tokenizer, the words a, b and c stand for red, green and blue. */
const jobs = [
  { image: 'red', input: { candidate_labels: ['b', 'a'] } },
  { image: 'blue', input: { candidate_labels: ['a', 'b', 'c'] } },
  { image: 'lime', input: { candidate_labels: ['c', 'b'] }, parameters: { hypothesis_template: 'it is {} ?' } },
]

describe('zero-shot classification', () => {
  it.each([
    ['two towers', towers],
    ['two towers of a fixed batch', { ...towers, 'text_model.onnx': textTower({ batch: 2 }) }],
    ['one graph', { 'model.onnx': jointGraph() }],
  ])('answers each job of a batch from its own labels (%s)', async (_, graphs) => {
    const model = await load(await writeFolder({ task: 'zero-shot-image-classification' }, graphs, files))
    for (let round = 0; round < 2; round += 1) {
      const answers = await runBatch(model, jobs)
      expect(answers.map((answer) => answer['labels'])).toMatchObject([
        [{ label: 'a' }, { label: 'b' }],
        [{ label: 'c' }, {}, {}],
        [{ label: 'b' }, { label: 'c' }],
      ])
    }
  })

  it('scores are a softmax of the cosine times the scale', async () => {
    const modelJson = { task: 'zero-shot-image-classification', logit_scale: 2 }
    const model = await load(await writeFolder(modelJson, towers, files))
    const [answer] = await runBatch(model, jobs.slice(0, 1))
    // The image is (1, -1, -1) / sqrt 3: cosines of +-0.577.
    const expected = 1 / (1 + Math.exp((-2 * 2) / Math.sqrt(3)))
    expect(answer).toMatchObject({ labels: [{ label: 'a', score: expect.closeTo(expected, 4) }, { label: 'b' }] })
  })

  it.each([
    [{}],
    [{ candidate_labels: [] }],
    [{ candidate_labels: ['a', 'a'] }],
    [{ candidate_labels: ['a', ' '] }],
    [{ candidate_labels: Array.from({ length: 65 }, (_, index) => `a ${index}`) }],
  ])('refuses %j by the name of the field', async (input) => {
    const model = await load(await writeFolder({ task: 'zero-shot-image-classification' }, towers, files))
    await expect(model.prepare({ image: await colour('red'), input, parameters: {} })).rejects.toMatchObject({
      code: 'invalid_input',
      detail: expect.stringContaining('input.candidate_labels'),
    })
  })

  it.each([
    [4, 'invalid_input'],
    [3, 'taken'],
  ])('takes texts of 1,024 characters: a label of 256 in %i places', async (places, code) => {
    const model = await load(await writeFolder({ task: 'zero-shot-image-classification' }, towers, files))
    const input = { candidate_labels: ['a '.repeat(127) + 'aa', 'b'] }
    const prepared = model.prepare({
      image: await colour('red'),
      input,
      parameters: { hypothesis_template: `${'{}'.repeat(places)}.` },
    })
    const outcome = await prepared.then(
      () => ({ code: 'taken' }),
      (error: unknown) => error,
    )
    expect(outcome).toMatchObject({ code })
  })

  it('needs to be told the scale', async () => {
    const folder = await writeFolder({ task: 'zero-shot-image-classification' }, towers, {
      ...files,
      'config.json': null,
    })
    await expect(load(folder)).rejects.toMatchObject({ detail: expect.stringContaining('logit_scale in model.json') })
  })
})

it('the cache forgets what was used longest ago', () => {
  const cache = createLru<string, number>(2)
  cache.set('a', 1)
  cache.set('b', 2)
  cache.get('a')
  cache.set('c', 3)
  expect(['a', 'b', 'c'].map((key) => cache.get(key))).toEqual([1, undefined, 3])
})
