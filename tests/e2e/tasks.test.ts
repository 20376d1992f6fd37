import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { jobResponseSchema } from '@vision-queue/protocol'
import { readEvents } from '@vision-queue/test-support/client'
import { startSystem, type System } from '@vision-queue/test-support/system'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

import { meanAveragePrecision } from '../evaluate/average-precision.ts'
import { judges } from '../evaluate/judges.ts'

const models = fileURLToPath(new URL('../../models/', import.meta.url))
const shipped = readdirSync(models)
const examplesSchema = z.array(z.looseObject({ image: z.string() }))

let system: System
beforeAll(async () => {
  system = await startSystem({ consumerEnv: { MODELS: '', ENGINES: '1' } })
})
afterAll(async () => {
  await system.stop()
})

function examplesOf(model: string): z.infer<typeof examplesSchema> {
  return examplesSchema.parse(JSON.parse(readFileSync(join(models, model, '1/examples/examples.json'), 'utf8')))
}

/** Examples of shapes-chat with `images` are about two pictures. */
function ofOnePicture(examples: z.infer<typeof examplesSchema>): z.infer<typeof examplesSchema> {
  return examples.filter((example) => example['images'] === undefined)
}

async function submit(model: string, image: Buffer, input: object, path = ''): Promise<Response> {
  return fetch(`${system.url}/jobs${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(path === '' ? { prefer: 'wait=30' } : {}) },
    body: JSON.stringify({ model, input: { image: image.toString('base64'), ...input } }),
  })
}

function run(model: string, picture: string, input: object, path = ''): Promise<Response> {
  return submit(model, readFileSync(join(models, model, '1/examples', picture)), input, path)
}

async function outputOf(model: string, picture: string, input: object): Promise<unknown> {
  return jobResponseSchema.parse(await (await run(model, picture, input)).json()).output
}

test('every shipped model is served', async () => {
  const { models: served } = z
    .object({ models: z.array(z.object({ name: z.string(), status: z.string() })) })
    .parse(await (await fetch(`${system.url}/models`)).json())
  expect(served).toEqual(shipped.map((name) => ({ name, status: 'ready' })))
})

async function judgedExamples(model: string, task: string): Promise<{ right: boolean; said: string }[]> {
  return Promise.all(
    ofOnePicture(examplesOf(model)).map(async (example) => {
      const asked = judges[task]?.(example)
      if (asked === undefined) throw new Error(`There is no judge for ${task}`)
      return asked.judgeOutput(await outputOf(model, example.image, asked.input))
    }),
  )
}

test.each([
  ['shapes-vqa', 'visual-question-answering', 90],
  ['shapes-entailment', 'visual-entailment', 90],
  ['shapes-caption', 'image-to-text', 90],
  ['shapes-classify', 'image-classification', 90],
  // All objects of a picture are to be found, and nothing else.
  ['shapes-detect', 'object-detection', 80],
  ['shapes-clip', 'zero-shot-image-classification', 90],
  // Whole captions and lists have to agree in every letter.
  ['shapes-chat', 'image-text-to-text', 80],
])('%s, asked for %s, is right on %i of a hundred of its examples at least', async (model, task, percent) => {
  const judged = await judgedExamples(model, task)
  const wrong = judged.filter(({ right }) => !right)
  expect(judged.length).toBeGreaterThanOrEqual(8)
  expect(wrong.slice(Math.floor((judged.length * (100 - percent)) / 100))).toEqual([])
})

test('boxes are in pixels of the upright original, whatever its size and however it was stored', async () => {
  const objectsOf = async (image: Buffer, example: Record<string, unknown>) => {
    const response = await submit('shapes-detect', image, {})
    const { output } = jobResponseSchema.parse(await response.json())
    return judges['object-detection']?.(example).judgeOutput(output).objects ?? { found: [], truth: [] }
  }
  const examples = examplesOf('shapes-detect')
  const read = (image: string): Buffer => readFileSync(join(models, 'shapes-detect/1/examples', image))
  const upright = await Promise.all(examples.map((example) => objectsOf(read(example.image), example)))
  // As a camera that was held on its side stores it: turned, with a tag that says how to turn it back.
  const turned = await Promise.all(
    examples.map(async (example) =>
      objectsOf(
        await sharp(read(example.image)).rotate(270).withMetadata({ orientation: 6 }).png().toBuffer(),
        example,
      ),
    ),
  )
  expect(upright.flatMap(({ truth }) => truth).length).toBeGreaterThan(15)
  for (const pictures of [upright, turned]) expect(meanAveragePrecision(pictures).get('all')).toBeGreaterThan(0.9)
})

test('shapes-embed gives pictures embeddings of length 1, the same picture the same one and others others', async () => {
  const [one, other] = examplesOf('shapes-embed')
  const embed = async (picture = ''): Promise<number[]> =>
    z.object({ embedding: z.array(z.number()) }).parse(await outputOf('shapes-embed', picture, {})).embedding
  const [first, again, second] = await Promise.all([embed(one?.image), embed(one?.image), embed(other?.image)])
  const dot = (a: number[], b: number[]): number => a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)
  expect(dot(first, first)).toBeCloseTo(1, 2)
  expect(dot(first, again)).toBeCloseTo(1, 2)
  expect(dot(first, second)).toBeLessThan(0.99)
})

test('a caption reaches those who listen piece by piece, and the pieces make the whole', async () => {
  const [example] = examplesOf('shapes-caption')
  // No Prefer: the stream is opened while the job waits or runs.
  const { id } = jobResponseSchema.parse(await (await run('shapes-caption', example?.image ?? '', {}, '?')).json())
  const events = await readEvents(await fetch(`${system.url}/jobs/${id}/events`))
  const final = jobResponseSchema.parse(JSON.parse(events.at(-1)?.data ?? '{}'))
  expect(final.status).toBe('succeeded')
  const pieces = events
    .filter(({ event }) => event === 'token')
    .map(({ data }) => z.object({ text: z.string(), index: z.int() }).parse(JSON.parse(data)))
  const text = pieces.reduce((whole, piece) => whole.slice(0, piece.index) + piece.text, '')
  // A short caption may be finished before its listener is there.
  expect(z.object({ text: z.string() }).parse(final.output).text.startsWith(text)).toBe(true)
})
