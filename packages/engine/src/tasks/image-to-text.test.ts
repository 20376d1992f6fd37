import { cp, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import type { PreparedJob } from '../answering.ts'
import { loadModel, type LoadedModel } from '../model.ts'

const source = fileURLToPath(new URL('../../test/tiny-captioner', import.meta.url))
const goldenSchema = z.object({
  size: z.int(),
  images: z.array(z.array(z.int())),
  cases: z.array(z.object({ options: z.record(z.string(), z.json()), tokens: z.array(z.array(z.int())) })),
})
const vocabularySchema = z.object({ model: z.object({ vocab: z.record(z.string(), z.int()) }) })
const golden = goldenSchema.parse(JSON.parse(await readFile(join(source, 'golden.json'), 'utf8')))
const vocabulary = vocabularySchema.parse(JSON.parse(await readFile(join(source, 'tokenizer.json'), 'utf8')))
const words = Object.keys(vocabulary.model.vocab)
const specialIds = 4

const images = await Promise.all(
  golden.images.map(async (pixels) =>
    sharp(Uint8Array.from(pixels), { raw: { width: golden.size, height: golden.size, channels: 3 } })
      .png()
      .toBuffer(),
  ),
)

let folder = ''
const models: Record<string, LoadedModel> = {}
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'captioner-'))
  const leftOut = {
    merged: ['decoder_model.onnx', 'decoder_with_past_model.onnx'],
    'in two': ['decoder_model_merged.onnx'],
  }
  for (const [form, graphs] of Object.entries(leftOut)) {
    await cp(source, join(folder, form), { recursive: true })
    for (const graph of graphs) await rm(join(folder, form, 'onnx', graph))
    models[form] = await load(join(folder, form))
  }
})
afterAll(async () => {
  for (const model of Object.values(models)) await model.close()
  await rm(folder, { recursive: true })
})

async function load(path: string): Promise<LoadedModel> {
  return loadModel({ name: 'captioner', version: '1', folder: path, intraOpThreads: 1, maxImagePixels: 1e6 })
}

function modelOf(form: string): LoadedModel {
  const model = models[form]
  if (model === undefined) throw new Error(`there is no model ${form}`)
  return model
}

async function prepare(model: LoadedModel, image: number, options: Record<string, unknown> = {}): Promise<PreparedJob> {
  const { prompt, ...parameters } = options
  const input = prompt === undefined ? {} : { prompt }
  return model.prepare({ images: [images[image] ?? new Uint8Array()], input, parameters })
}

/** What the tokens of the training side's answer say. */
function answerOf(options: Record<string, unknown>, tokens: readonly number[]): { text: string; tokens: number } {
  const prompt = typeof options['prompt'] === 'string' ? options['prompt'].split(' ') : []
  const generated = tokens.filter((id) => id >= specialIds).map((id) => words[id])
  return { text: [...prompt, ...generated].join(' '), tokens: tokens.length }
}

it('a folder with another variant for each graph says which graph runs in which', async () => {
  const mixed = join(folder, 'mixed')
  await cp(join(folder, 'merged'), mixed, { recursive: true })
  await rename(join(mixed, 'onnx/decoder_model_merged.onnx'), join(mixed, 'onnx/decoder_model_merged_q4.onnx'))
  const model = await load(mixed)
  expect(model.manifest.graphVariants).toEqual({ encoder_model: 'fp32', decoder_model_merged: 'q4' })
  await model.close()
})

describe.each(['merged', 'in two'])('with its decoder %s', (form) => {
  it.each(golden.cases)('says what PyTorch says, alone and in one batch: $options', async ({ options, tokens }) => {
    const model = modelOf(form)
    const jobs = await Promise.all(images.map(async (_, index) => prepare(model, index, options)))
    const expected = tokens.map((ids) => answerOf(options, ids))
    const alone = await Promise.all(jobs.map(async (job) => model.run([job])))
    expect(alone.flat()).toEqual(expected)
    expect(await model.run(jobs)).toEqual(expected)
  })

  it('gives each its own answer where greedy and beam searches, prompts and limits share their steps', async () => {
    const model = modelOf(form)
    const mixed = golden.cases.flatMap(({ options, tokens }, at) => {
      const image = at % images.length
      return { image, options, expected: answerOf(options, tokens[image] ?? []) }
    })
    const jobs = await Promise.all(mixed.map(async ({ image, options }) => prepare(model, image, options)))
    expect(await model.run(jobs)).toEqual(mixed.map(({ expected }) => expected))
  })
})

describe('image to text', () => {
  it('ends before a stop string, which is not part of the text', async () => {
    const model = modelOf('merged')
    const [plain] = z
      .array(z.object({ text: z.string(), tokens: z.int() }))
      .parse(await model.run([await prepare(model, 1)]))
    const second = plain?.text.split(' ').slice(1, 3).join(' ') ?? ''
    expect(second).not.toBe('')
    const [stopped] = await model.run([await prepare(model, 1, { stop: [second, 'never'] })])
    expect(stopped).toEqual({ text: plain?.text.slice(0, plain.text.indexOf(second)), tokens: 3 })
  })

  it.each([
    [{ prompt: 'a'.repeat(513) }, 'input.prompt'],
    [{ prompt: 'a '.repeat(25) }, 'input.prompt'],
    [{ num_beams: 9 }, 'parameters.num_beams'],
    [{ max_new_tokens: 0 }, 'parameters.max_new_tokens'],
    [{ num_beams: 2, stop: ['a'] }, 'parameters.stop'],
  ])('refuses %j by the name of the field', async (options, field) => {
    await expect(prepare(modelOf('merged'), 0, options)).rejects.toMatchObject({
      code: 'invalid_input',
      fields: [{ field }],
    })
  })

  it('goes no further than the positions which the decoder has', async () => {
    const model = modelOf('merged')
    const [answer] = await model.run([await prepare(model, 1, { max_new_tokens: 1000, repetition_penalty: 1.7 })])
    expect(answer).toMatchObject({ tokens: 25 })
  })

  it.each(['decoder_model.onnx', 'decoder_with_past_model.onnx', 'encoder_model.onnx', 'generation_config.json'])(
    'says what is missing without %s',
    async (file) => {
      const path = join(folder, `without ${file}`)
      await cp(join(folder, 'in two'), path, { recursive: true })
      await rm(join(path, file.endsWith('.onnx') ? 'onnx' : '', file))
      await expect(load(path)).rejects.toMatchObject({
        code: 'model_unavailable',
        detail: expect.stringMatching(/\w+\.(onnx|json)/),
      })
    },
  )
})
