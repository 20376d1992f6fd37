import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { jobSchema } from '@vision-queue/protocol'
import { colourGraph, cosineGraph, poolingTower, questionGraph } from '@vision-queue/engine/test/tiny-graphs'
import { tinyPreprocessor, writeTinyModel } from '@vision-queue/models/test/tiny-model'
import { startSystem, type System } from '@vision-queue/test-support/system'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

/** Graphs without a mask: what fills a text up to the length of another caller's would change its answer. */
let repository: string
let system: System

const preprocessor = { ...tinyPreprocessor, size: { height: 4, width: 4 } }
const zeroShot = { task: 'zero-shot-image-classification' }

beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), 'vision-queue-neighbours-'))
  const write = async (name: string, files: Parameters<typeof writeTinyModel>[1], graphs: Record<string, Uint8Array>) =>
    writeTinyModel(join(repository, name, '1'), { 'preprocessor_config.json': preprocessor, ...files }, graphs)
  await write(
    'siglip',
    { 'model.json': zeroShot, 'config.json': { model_type: 'siglip', text_config: { max_position_embeddings: 12 } } },
    { model: cosineGraph({ pool: 'last', mask: 'none', scale: 9, bias: -3 }) },
  )
  await write(
    'towers',
    { 'model.json': { ...zeroShot, logit_scale: 9 } },
    { vision_model: colourGraph({ output: 'image_embeds' }), text_model: poolingTower('last', 'none') },
  )
  await write(
    'question',
    { 'model.json': { task: 'visual-question-answering', labels: ['r', 'g', 'b'] } },
    { model: questionGraph('last', 'ignored') },
  )
  system = await startSystem({
    consumerEnv: { MODELS: '', MODEL_REPOSITORY: repository, ENGINES: '1', ANSWER_TTL_MS: '600000' },
  })
})
afterAll(async () => {
  await system.stop()
  await rm(repository, { recursive: true })
})

interface Question {
  model: string
  image: Uint8Array
  input: Record<string, string>
}

/** Each image with a short text and another with a long one, for each model. */
async function questions(): Promise<Question[]> {
  const texts = ['small', 'what is it ? a b c d e f', 'is it', 'f e d c b']
  const images = await Promise.all(
    Array.from({ length: 24 }, async (_, index) =>
      sharp({ create: { width: 8, height: 8, channels: 3, background: { r: 9 * index, g: 60, b: 250 - 9 * index } } })
        .png()
        .toBuffer(),
    ),
  )
  return images.flatMap((image, index) => {
    const text = texts[index % texts.length] ?? ''
    return [
      { model: 'siglip', image, input: { candidate_labels: JSON.stringify([text]) } },
      { model: 'towers', image, input: { candidate_labels: JSON.stringify([text, 'a b']) } },
      { model: 'question', image, input: { question: text } },
    ]
  })
}

async function ask({ model, image, input }: Question, cache: boolean) {
  const form = new FormData()
  form.set('model', model)
  form.set('image', new Blob([Uint8Array.from(image)]), 'a.png')
  for (const [name, value] of Object.entries(input)) form.set(name, value)
  form.set('cache', String(cache))
  const response = await fetch(`${system.url}/jobs`, { method: 'POST', body: form, headers: { prefer: 'wait=30' } })
  return jobSchema.parse(await response.json())
}

const scored = z.array(z.looseObject({ score: z.number() }))
const scoresSchema = z.union([
  z.object({ labels: scored }).transform(({ labels }) => labels),
  z.object({ answers: scored }).transform(({ answers }) => answers),
])

test("no caller's text changes another's answer, and none that was changed is kept", async () => {
  const all = await questions()
  const together = await Promise.all(all.map(async (question) => ask(question, true)))
  expect(together.filter(({ status }) => status !== 'succeeded')).toEqual([])
  // They did share runs.
  expect(together.filter(({ metrics }) => (metrics?.batch_size ?? 0) > 1).length).toBeGreaterThan(10)

  for (const [index, question] of all.entries()) {
    const again = await ask(question, true)
    expect(again).toMatchObject({ cached: true, output: together[index]?.output })
    const alone = await ask(question, false)
    expect(alone).toMatchObject({ cached: false, metrics: { batch_size: 1 } })
    const [before, after] = [scoresSchema.parse(alone.output), scoresSchema.parse(again.output)]
    // Rounding aside: a matrix product of other sizes adds in another order.
    const near = before.map((entry) => Object.assign(entry, { score: expect.closeTo(entry.score, 5) }))
    expect(after).toEqual(near)
  }
})
