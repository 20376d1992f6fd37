import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'

import { writeTinyModel } from '@vision-queue/models/test/tiny-model'
import { loadModel, type LoadedModel } from '../model.ts'
import { topScores } from './top-scores.ts'

let folder = ''
let model: LoadedModel
const images: Record<string, Uint8Array> = {}
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vqa-'))
  await writeTinyModel(folder)
  model = await loadModel({ name: 'tiny', version: '1', folder, intraOpThreads: 1, maxImagePixels: 1e6 })
  for (const background of ['red', 'lime', 'blue']) {
    images[background] = await sharp({ create: { width: 20, height: 30, channels: 3, background } })
      .png()
      .toBuffer()
  }
})
afterAll(async () => {
  await model.close()
  await rm(folder, { recursive: true })
})

const outputSchema = z.object({ answers: z.array(z.object({ answer: z.string(), score: z.number() })).min(1) })

async function prepare(image: string, input: Record<string, unknown>, parameters: Record<string, unknown> = {}) {
  return model.prepare({ images: [images[image] ?? new Uint8Array()], input, parameters })
}

async function run(items: Awaited<ReturnType<typeof prepare>>[]): Promise<z.infer<typeof outputSchema>['answers'][]> {
  return (await model.run(items)).map((output) => outputSchema.parse(output).answers)
}

describe('visual question answering', () => {
  it('answers each item of a batch by its own image and text, whatever their lengths', async () => {
    const answers = await run([
      await prepare('red', { question: 'what is it?' }),
      await prepare('blue', { question: 'a' }),
      await prepare('red', { question: 'is it large' }),
      await prepare('lime', { question: 'what is it a b c d a b c d' }),
    ])
    expect(answers.map(([best]) => best?.answer)).toEqual(['red', 'blue', 'word', 'green'])
  })

  it('gives as many answers as asked for, the likeliest first, scores that add up to one', async () => {
    const [one = [], all = []] = await run([
      await prepare('blue', { question: 'a' }),
      await prepare('blue', { question: 'a' }, { top_k: 50 }),
    ])
    expect(one).toHaveLength(1)
    expect(all).toHaveLength(4)
    expect(all[0]).toEqual(one[0])
    const scores = all.map(({ score }) => score)
    expect(scores).toEqual(scores.toSorted((a, b) => b - a))
    expect(scores.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5)
  })

  it('gives an item the same answer alone and in a batch', async () => {
    const item = await prepare('lime', { question: 'small?' }, { top_k: 4 })
    const [[alone], batched] = await Promise.all([
      run([item]),
      run([item, await prepare('red', { question: 'a b c d a b c d' }), item]),
    ])
    expect(batched[0]).toEqual(alone)
    expect(batched[2]).toEqual(alone)
  })

  it.each([
    [{}, {}, 'input.question'],
    [{ question: '   ' }, {}, 'input.question'],
    [{ question: 'a'.repeat(513) }, {}, 'input.question'],
    [{ question: 'a', colour: 'red' }, {}, 'input.colour'],
    [{ question: 'a' }, { top_k: 0 }, 'parameters.top_k'],
    [{ question: 'a' }, { top_k: 1.5 }, 'parameters.top_k'],
  ])('refuses %j with %j by the name of the field', async (input, parameters, field) => {
    await expect(prepare('red', input, parameters)).rejects.toMatchObject({
      code: 'invalid_input',
      fields: [{ field }],
      detail: expect.stringContaining(field),
    })
  })

  it('a broken image with a bad question leaves no rejection behind, which would end the process', async () => {
    const rejected: unknown[] = []
    const note = (reason: unknown): void => void rejected.push(reason)
    process.on('unhandledRejection', note)
    await expect(prepare('no image', { question: '' })).rejects.toMatchObject({ code: 'invalid_input' })
    await expect(prepare('no image', { question: 'a' })).rejects.toMatchObject({ code: 'image_undecodable' })
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
    process.off('unhandledRejection', note)
    expect(rejected).toEqual([])
  })

  it('announces schemas that say the same', () => {
    const { inputSchema, parametersSchema, outputSchema: announced, labels } = model.manifest
    const input = z.fromJSONSchema(inputSchema)
    expect(input.safeParse({ question: 'What is it?' }).success).toBe(true)
    for (const bad of [
      {},
      { question: '' },
      { question: '  ' },
      { question: 'a', b: 1 },
      { question: 'a'.repeat(513) },
    ]) {
      expect(input.safeParse(bad)).toMatchObject({ success: false })
    }
    const parameters = z.fromJSONSchema(parametersSchema)
    expect(parameters.safeParse({}).success).toBe(true)
    expect(parameters.safeParse({ top_k: 51 }).success).toBe(false)
    expect(announced).toMatchObject({ properties: { answers: { type: 'array' } } })
    expect(labels).toContain('word')
  })
})

describe('top scores', () => {
  it('are probabilities also of logits that overflow exp()', () => {
    expect(topScores(Float32Array.from([1000, 1000, -1000]), ['a', 'b', 'c'], 3)).toEqual([
      { label: 'a', score: 0.5 },
      { label: 'b', score: 0.5 },
      { label: 'c', score: 0 },
    ])
  })

  it('are refused where a logit is no number, or there are not as many as labels', () => {
    expect(() => topScores(Float32Array.from([1, NaN]), ['a', 'b'], 1)).toThrow('not a number')
    expect(() => topScores(Float32Array.from([1]), ['a', 'b'], 1)).toThrow('1 logits for 2 labels')
  })
})
