import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import sharp from 'sharp'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import { seededRandom } from '@vision-queue/test-support/seeded-random'
import { load, removeFolders, writeFolder } from '../test/tiny-folder.ts'
import { cosineGraph, colourGraph, mixingGraph, poolingTower, questionGraph } from '../test/tiny-graphs.ts'
import { tinyPreprocessor, tinyTokenizer, tinyWords } from '@vision-queue/models/test/tiny-model'
import type { Variant } from '@vision-queue/models'
import type { LoadedModel } from './model.ts'
import type { TaskOutput } from './task-output.ts'
import type { TaskRequest } from './tasks/task.ts'

/**
 * The same job, alone and beside others that it shares runs with: whatever is beside it, its answer is the
 * same. Where a model keeps what it computed (embeddings of texts) it is loaded twice, so that what one has kept
 * doesn't hide what the other does.
 *
 * The tolerance is for rounding: matrix products of other sizes add in another order. Scores were at most 5e-7 apart,
 * in float32 and int8 alike. In int8 such a difference can fall to the other side of a rounding to 8 bits, which
 * moves a number by more; it depends on the kernels that a CPU has.
 */
const tolerance = { fp32: 1e-5, int8: 1e-2 }

afterAll(removeFolders)

type Random = () => number
const pick = <T>(random: Random, all: readonly T[]): T => {
  const one = all[Math.floor(random() * all.length)]
  if (one === undefined) throw new Error('nothing to pick from')
  return one
}
const words = (random: Random, from: readonly string[], most: number): string =>
  Array.from({ length: 1 + Math.floor(random() * most) }, () => pick(random, from)).join(' ')

const shapesWords =
  'a the large small red green blue circle square star left of is there how many what color above'.split(' ')
const tinyText = tinyWords.filter((word) => !word.startsWith('['))

/** Inputs and parameters of a task, made up. */
function makeUp(task: string, random: Random, from: readonly string[]): Omit<TaskRequest, 'images'> {
  switch (task) {
    case 'visual-question-answering':
      return { input: { question: words(random, from, 14) }, parameters: { top_k: 3 } }
    case 'visual-entailment':
      return { input: { text: words(random, from, 14) }, parameters: {} }
    case 'zero-shot-image-classification': {
      const labels = Array.from({ length: 1 + Math.floor(random() * 4) }, () => words(random, from, 9))
      return { input: { candidate_labels: [...new Set(labels)] }, parameters: {} }
    }
    case 'image-to-text':
      return {
        input: {},
        parameters: { max_new_tokens: 1 + Math.floor(random() * 12), num_beams: pick(random, [1, 1, 1, 2]) },
      }
    default:
      return { input: {}, parameters: {} }
  }
}

const examples = ['01.jpg', '03.webp', '05.png', '09.webp', '12.webp', '21.webp'].map((name) =>
  readFileSync(new URL(`../../../models/shapes-vqa/1/examples/scene-${name}`, import.meta.url)),
)
const colours = await Promise.all(
  ['#ffffff', '#000000', '#ff2010', '#10f030', '#2040ff', '#807060'].map(async (background) =>
    sharp({ create: { width: 9, height: 7, channels: 3, background } })
      .png()
      .toBuffer(),
  ),
)

interface Subject {
  name: string
  open: () => Promise<LoadedModel>
  batches: number
  variant: Variant
  images: readonly Uint8Array[]
  from: readonly string[]
}

const shipped = [
  'shapes-vqa',
  'shapes-entailment',
  'shapes-caption',
  'shapes-classify',
  'shapes-clip',
  'shapes-detect',
  'shapes-embed',
]
const repository = fileURLToPath(new URL('../../../models', import.meta.url))

function shippedSubjects(variant: Variant, batches: number): Subject[] {
  return shipped.map((name) => ({
    name: `${name} in ${variant}`,
    open: async () => load(`${repository}/${name}/1`, { execution: { variant }, name }),
    batches,
    variant,
    images: [...examples, ...colours],
    from: shapesWords,
  }))
}

const files = {
  'tokenizer.json': tinyTokenizer,
  'tokenizer_config.json': { model_max_length: 16, pad_token: '[PAD]' },
  'preprocessor_config.json': { ...tinyPreprocessor, size: { height: 4, width: 4 } },
}
const question = { task: 'visual-question-answering', labels: ['r', 'g', 'b'] }
const zeroShot = { task: 'zero-shot-image-classification' }
const siglip = { ...files, 'config.json': { model_type: 'siglip', text_config: { max_position_embeddings: 12 } } }
const classify = { task: 'image-classification', labels: ['r', 'g', 'b'] }
const vision = { 'vision_model.onnx': colourGraph({ output: 'image_embeds' }) }

const tiny: [string, Parameters<typeof writeFolder>][] = [
  ['the last word, no mask', [question, { 'model.onnx': questionGraph('last', 'none') }, files]],
  ['the mean of words, no mask', [question, { 'model.onnx': questionGraph('mean', 'none') }, files]],
  ['the last word, a mask that hides nothing', [question, { 'model.onnx': questionGraph('last', 'ignored') }, files]],
  [
    'the mean of words, a mask that hides nothing',
    [question, { 'model.onnx': questionGraph('mean', 'ignored') }, files],
  ],
  ['a mask', [question, { 'model.onnx': questionGraph('mean', 'used') }, files]],
  [
    'towers without a mask',
    [{ ...zeroShot, logit_scale: 9 }, { ...vision, 'text_model.onnx': poolingTower('mean', 'none') }, files],
  ],
  [
    'towers whose mask hides nothing',
    [{ ...zeroShot, logit_scale: 9 }, { ...vision, 'text_model.onnx': poolingTower('last', 'ignored') }, files],
  ],
  [
    'a joint graph without a mask',
    [zeroShot, { 'model.onnx': cosineGraph({ pool: 'mean', mask: 'none', scale: 9 }) }, files],
  ],
  [
    'a SigLIP graph',
    [zeroShot, { 'model.onnx': cosineGraph({ pool: 'last', mask: 'none', scale: 9, bias: -3 }) }, siglip],
  ],
  ['a graph that centres its batch', [classify, { 'model.onnx': mixingGraph('mean') }, files]],
  ['dynamic quantisation', [classify, { 'model.onnx': mixingGraph('range') }, files]],
]

function tinySubjects(batches: number): Subject[] {
  return tiny.map(([name, folder]) => ({
    name,
    open: async () => load(await writeFolder(...folder)),
    batches,
    variant: 'fp32',
    images: colours,
    from: tinyText,
  }))
}

const scoredSchema = z.array(z.looseObject({ score: z.number() }))

/** Differences between two answers: every number is compared, every text must be the same. */
function differences(alone: unknown, beside: unknown, most: number, path = ''): string[] {
  if (typeof alone === 'number' && typeof beside === 'number') {
    return Math.abs(alone - beside) <= most ? [] : [`${path}: ${alone} alone, ${beside} beside`]
  }
  const [one, other] = [scoredSchema.safeParse(alone), scoredSchema.safeParse(beside)]
  if (one.success && other.success) return rankingDifferences(one.data, other.data, most, path)
  if (typeof alone === 'object' && alone !== null && typeof beside === 'object' && beside !== null) {
    const entries = Object.entries(beside)
    if (Object.keys(alone).join() !== entries.map(([key]) => key).join()) return [`${path}: other fields`]
    const before = new Map<string, unknown>(Object.entries(alone))
    return entries.flatMap(([key, value]) => differences(before.get(key), value, most, `${path}.${key}`))
  }
  return Object.is(alone, beside) ? [] : [`${path}: ${String(alone)} alone, ${String(beside)} beside`]
}

/** Places may change only between scores that are equal but for rounding. */
function rankingDifferences(
  alone: readonly ({ score: number } & Record<string, unknown>)[],
  beside: readonly ({ score: number } & Record<string, unknown>)[],
  most: number,
  path: string,
): string[] {
  if (alone.length !== beside.length) return [`${path}: ${alone.length} alone, ${beside.length} beside`]
  const nameOf = (entry: object): string => JSON.stringify({ ...entry, score: null })
  const scores = new Map(alone.map((entry) => [nameOf(entry), entry.score]))
  return beside.flatMap((entry, place) => {
    const name = nameOf(entry)
    // A label that only just is, or isn't, among the top: what stands at its place must score the same.
    const own = scores.get(name) ?? alone.at(-1)?.score ?? NaN
    const here = alone[place]?.score ?? NaN
    const isSame = Math.abs(own - entry.score) <= most && Math.abs(here - entry.score) <= most
    return isSame ? [] : [`${path}: ${name} ${own} alone, ${entry.score} beside`]
  })
}

const subjects = [...shippedSubjects('fp32', 100), ...shippedSubjects('int8', 50), ...tinySubjects(110)]

describe('a job gives the same answer alone and beside any neighbours', () => {
  it('in 2,000 batches or more', () => {
    expect(subjects.reduce((sum, { batches }) => sum + batches, 0)).toBeGreaterThanOrEqual(2000)
  })

  it.each(subjects)('$name: $batches batches', async ({ open, batches, variant, images, from }) => {
    const random = seededRandom(11)
    const single = await open()
    const shared = single.manifest.task === 'zero-shot-image-classification' ? await open() : single
    const pool = Array.from({ length: 40 }, () => ({
      images: [pick(random, images)],
      ...makeUp(single.manifest.task, random, from),
    }))
    const prepareAll = async (model: LoadedModel) => Promise.all(pool.map(async (request) => model.prepare(request)))
    const alone: (TaskOutput | Error)[] = []
    for (const job of await prepareAll(single)) alone.push(...(await single.run([job])))
    expect(alone.filter((output) => output instanceof Error)).toEqual([])

    const jobs = await prepareAll(shared)
    const found: string[] = []
    for (let batch = 0; batch < batches; batch += 1) {
      const size = Math.min(shared.manifest.maxBatchSize, 2 + Math.floor(random() * 5))
      const places = Array.from({ length: size }, () => Math.floor(random() * pool.length))
      const outputs = await shared.run(places.flatMap((place) => jobs[place] ?? []))
      for (const [index, place] of places.entries()) {
        found.push(...differences(alone[place], outputs[index], tolerance[variant === 'int8' ? 'int8' : 'fp32']))
      }
    }
    expect(found).toEqual([])
  })
})
