import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import { colour, load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'
import { tinyPreprocessor, tinyTokenizer } from '@vision-queue/models/test/tiny-model'
import { blankImage } from '../images/image-preprocessing.ts'
import { clip } from '../../test/public-graphs.ts'
import { colourGraph, cosineGraph, jointGraph, poolingTower, textTower } from '../../test/tiny-graphs.ts'

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

  it.each([
    ['two towers', { 'vision_model.onnx': clip('clip').vision_model, 'text_model.onnx': clip('clip').text_model }],
    ['one graph', { 'model.onnx': clip('clip').model }],
  ])('images whose tensors differ in size are answered in one batch as alone (%s)', async (_, graphs) => {
    const preprocessor = { ...tinyPreprocessor, size: { shortest_edge: 8 } }
    const model = await load(
      await writeFolder({ task: 'zero-shot-image-classification' }, graphs, {
        ...files,
        'preprocessor_config.json': preprocessor,
      }),
    )
    const input = { candidate_labels: ['a', 'b', 'c'] }
    const pictures = [await colour('red'), await blankImage({ width: 64, height: 16 }, '#00ff00'), await colour('blue')]
    const prepared = await Promise.all(
      pictures.map(async (image) => model.prepare({ images: [image], input, parameters: {} })),
    )
    const together = await model.run(prepared)
    for (const [index, job] of prepared.entries()) expect((await model.run([job]))[0]).toEqual(together[index])
    expect(together[0]).toMatchObject({ labels: [{}, {}, {}] })
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
    await expect(model.prepare({ images: [await colour('red')], input, parameters: {} })).rejects.toMatchObject({
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
      images: [await colour('red')],
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

const task = { task: 'zero-shot-image-classification' }
const siglip = { ...files, 'config.json': { model_type: 'siglip', text_config: { max_position_embeddings: 12 } } }

/** The labels' scores by label. */
async function scoresOf(folder: string, labels: string[], image = 'red'): Promise<Record<string, number>> {
  const [answer] = await runBatch(await load(folder), [{ image, input: { candidate_labels: labels } }])
  const parsed = z.object({ labels: z.array(z.object({ label: z.string(), score: z.number() })) }).parse(answer)
  return Object.fromEntries(parsed.labels.map(({ label, score }) => [label, score]))
}

describe('a SigLIP model', () => {
  const joint = { 'model.onnx': cosineGraph({ pool: 'last', mask: 'none', scale: 9, bias: -3 }) }
  const siglipTowers = {
    'vision_model.onnx': colourGraph({ output: 'pooler_output' }),
    'text_model.onnx': poolingTower('last', 'none', 'pooler_output'),
  }

  it('scores a label by itself: as high alone as beside others, of any length', async () => {
    const folder = await writeFolder(task, joint, siglip)
    const alone = await scoresOf(folder, ['small'])
    const beside = await scoresOf(folder, ['what is it ?', 'small', 'a b c d e f'])
    expect(beside['small']).toBeCloseTo(alone['small'] ?? NaN, 6)
    // A softmax of one label would give 1.
    expect(alone['small']).toBeLessThan(0.99)
  })

  it('has its texts filled up to the length of its training, so that padding is what this graph sees last', async () => {
    const scores = await scoresOf(await writeFolder(task, joint, siglip), ['small', 'what is it ?'])
    expect(scores['small']).toBeCloseTo(scores['what is it ?'] ?? NaN, 6)
    const longest = { ...siglip, 'config.json': { model_type: 'siglip', text_config: { max_position_embeddings: 3 } } }
    const cut = await scoresOf(await writeFolder(task, joint, longest), ['small', 'what is it ?'])
    // Now every text ends in its closing token.
    expect(cut['small']).not.toBeCloseTo(scores['small'] ?? NaN, 3)
  })

  it('of two towers needs both scale and bias to be told', async () => {
    const sentence = 'both logit_scale and logit_bias in model.json, or onnx/model.onnx'
    for (const known of [{}, { logit_scale: 9 }]) {
      const folder = await writeFolder({ ...task, ...known }, siglipTowers, siglip)
      await expect(load(folder)).rejects.toMatchObject({ detail: expect.stringContaining(sentence) })
    }
    const started = { ...siglip, 'config.json': { model_type: 'siglip2', logit_scale_init_value: 2.6592 } }
    await expect(load(await writeFolder(task, siglipTowers, started))).rejects.toMatchObject({
      detail: expect.stringContaining(sentence),
    })
  })

  it.each([
    ['told', { logit_scale: 9, logit_bias: -3 }, {}],
    ['those of a joint graph beside them', {}, joint],
  ])('of two towers gives the scores of its joint graph (%s)', async (_, known, beside) => {
    const labels = ['small', 'what is it ?', 'a b']
    const expected = await scoresOf(await writeFolder(task, joint, siglip), labels, 'blue')
    const scores = await scoresOf(
      await writeFolder({ ...task, ...known }, { ...siglipTowers, ...beside }, siglip),
      labels,
      'blue',
    )
    for (const label of labels) expect(scores[label]).toBeCloseTo(expected[label] ?? NaN, 4)
  })
})

describe('a joint graph beside two towers', () => {
  const labels = ['small', 'what is it ?', 'a b']
  const joint = { 'model.onnx': cosineGraph({ pool: 'mean', mask: 'used', scale: 100 }) }
  const begun = { ...files, 'config.json': { model_type: 'clip', logit_scale_init_value: 2.6592 } }

  it.each([
    ['whose towers are the same', { ...towers, 'text_model.onnx': poolingTower('mean', 'used') }],
    ['whose text tower gives something else', { ...towers, 'text_model.onnx': poolingTower('last', 'used') }],
    [
      'whose image tower lacks its projection',
      {
        'vision_model.onnx': colourGraph({ output: 'pooler_output', channels: 1 }),
        'text_model.onnx': poolingTower('mean', 'used'),
      },
    ],
  ])('gives the scores, not where the training of the scale began (%s)', async (_, own) => {
    const expected = await scoresOf(await writeFolder(task, joint, begun), labels, 'lime')
    const scores = await scoresOf(await writeFolder(task, { ...own, ...joint }, begun), labels, 'lime')
    for (const label of labels) expect(scores[label]).toBeCloseTo(expected[label] ?? NaN, 4)
  })

  it('is not asked where model.json states the scale', async () => {
    const own = { ...towers, 'text_model.onnx': poolingTower('mean', 'used') }
    const stated = await scoresOf(await writeFolder({ ...task, logit_scale: 5 }, { ...own, ...joint }, begun), labels)
    const alone = await scoresOf(await writeFolder({ ...task, logit_scale: 5 }, own, begun), labels)
    expect(stated).toEqual(alone)
  })
})
