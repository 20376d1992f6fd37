import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { chatFolder } from '@vision-queue/engine/test/chat-folders'
import { readEvents } from '@vision-queue/test-support/client'
import { type System, startSystem } from '@vision-queue/test-support/system'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

/** A tiny language model that sees behind the whole service: API, queue, consumer and engine. */
const image = await readFile(fileURLToPath(new URL('../../models/shapes-vqa/1/examples/scene-01.jpg', import.meta.url)))
const answerSchema = z.object({
  id: z.string(),
  status: z.string(),
  output: z
    .object({
      text: z.string(),
      finish_reason: z.string(),
      usage: z.object({ prompt_tokens: z.int(), image_tokens: z.int(), cached_images: z.int() }),
      images: z.array(z.object({ width: z.int(), tiles: z.int(), downscaled: z.boolean() })),
    })
    .nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
})
const tokenSchema = z.strictObject({ text: z.string(), index: z.int() })

let repository = ''
let system: System
beforeAll(async () => {
  repository = await mkdtemp(join(tmpdir(), 'chats-'))
  const folder = join(repository, 'chat', '1')
  await mkdir(join(folder, 'onnx'), { recursive: true })
  const { files, graphs } = chatFolder('idefics3')
  for (const [file, content] of Object.entries(files)) await writeFile(join(folder, file), JSON.stringify(content))
  for (const [file, bytes] of Object.entries(graphs)) await writeFile(join(folder, 'onnx', file), bytes)
  system = await startSystem({ consumerEnv: { MODELS: '', MODEL_REPOSITORY: repository, ENGINES: '1' } })
}, 120_000)
afterAll(async () => {
  await system.stop()
  await rm(repository, { recursive: true })
})

async function send(body: object, headers: Record<string, string> = { Prefer: 'wait=20' }): Promise<unknown> {
  const response = await fetch(`${system.url}/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return response.json()
}
async function ask(input: object, parameters: object = {}) {
  return answerSchema.parse(await send({ input, parameters: { max_new_tokens: 12, ...parameters } }))
}

const base64 = image.toString('base64')
const part = { type: 'image' }
const text = (words: string) => ({ type: 'text', text: words })
const turn = (role: string, ...content: object[]) => ({ role, content })

describe('a conversation about images', () => {
  test('is answered, with what it cost and how the image was seen', async () => {
    const messages = [
      turn('user', part, text('what is it ?')),
      turn('assistant', text('red')),
      turn('user', text('and')),
    ]
    const first = await ask({ image: base64, messages }, { no_repeat_ngram_size: 1 })
    expect(first).toMatchObject({ status: 'succeeded', error: null })
    expect(first.output).toMatchObject({ usage: { image_tokens: 20 }, images: [{ tiles: 5, downscaled: true }] })
    // The image is known now; another question about it skips its encoding.
    const again = await ask({ image: base64, messages: [turn('user', part, text('a'))] })
    expect(again.output?.usage.cached_images).toBe(1)
  })

  test('comes as a form, and without an image', async () => {
    const form = new FormData()
    form.append('image', new Blob([image]), 'image.jpg')
    form.append('prompt', 'what is it ?')
    form.append('parameters', JSON.stringify({ max_new_tokens: 4 }))
    const response = await fetch(`${system.url}/jobs`, { method: 'POST', headers: { Prefer: 'wait=20' }, body: form })
    expect(answerSchema.parse(await response.json())).toMatchObject({ status: 'succeeded' })
    expect(await ask({ prompt: 'one two' })).toMatchObject({ output: { usage: { image_tokens: 0 }, images: [] } })
  })

  test('comes to a subscriber in pieces that together are the text', async () => {
    const ahead = Array.from({ length: 12 }, async (_, seed) =>
      ask({ image: base64, prompt: 'what' }, { temperature: 2, seed, max_new_tokens: 100 }),
    )
    const body = { input: { image: base64, prompt: 'a' }, parameters: { max_new_tokens: 40, temperature: 1 } }
    const { id } = answerSchema.pick({ id: true }).parse(await send(body, {}))
    const events = await readEvents(await fetch(`${system.url}/jobs/${id}/events`))
    await Promise.all(ahead)
    let heard = ''
    for (const { data } of events.filter(({ event }) => event === 'token')) {
      const piece = tokenSchema.parse(JSON.parse(data))
      heard = heard.slice(0, piece.index) + piece.text
    }
    const final = answerSchema.parse(JSON.parse(events.findLast(({ event }) => event === 'job')?.data ?? 'null'))
    expect(heard.length).toBeGreaterThan(0)
    expect(final.output?.text).toBe(heard)
  })

  test('that is drawn by lot is another each time, and the same for the same seed', async () => {
    const draw = async (parameters: object) =>
      (await ask({ image: base64, prompt: 'b' }, { temperature: 3, max_new_tokens: 20, ...parameters })).output?.text
    expect(await draw({ seed: 5 })).toBe(await draw({ seed: 5 }))
    expect(await draw({})).not.toBe(await draw({}))
  })

  test('is one of the choices where these are given', async () => {
    const format = { type: 'choice', choices: ['large', 'small'] }
    const { output } = await ask({ image: base64, prompt: 'is it large or small ?' }, { response_format: format })
    expect(['large', 'small']).toContain(output?.text)
    expect(output?.finish_reason).toBe('stop')
  })

  test('comes and goes as one of OpenAI, too', async () => {
    const url = `data:image/jpeg;base64,${base64}`
    const response = await fetch(`${system.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        model: 'chat',
        messages: [turn('user', { type: 'image_url', image_url: { url } }, text('what is it ?'))],
        max_tokens: 6,
        temperature: 0,
        logprobs: true,
      }),
    })
    const completion: unknown = await response.json()
    expect(completion).toMatchObject({
      object: 'chat.completion',
      choices: [
        { message: { role: 'assistant', content: expect.any(String) }, logprobs: { content: expect.any(Array) } },
      ],
      usage: { completion_tokens: 6 },
    })
  })

  test('has every parameter of a job in OpenAI’s form, too', async () => {
    const named = z.object({ parameters: z.object({ properties: z.record(z.string(), z.unknown()) }) })
    const model = named.parse(await (await fetch(`${system.url}/models/chat`)).json())
    // These have other names there: max_completion_tokens, and image_url.detail of each image.
    const { max_new_tokens: _, detail: __, ...parameters } = model.parameters.properties
    expect(Object.keys(parameters)).toContain('max_pixels')
    const request = z.object({
      components: z.object({
        schemas: z.object({ ChatCompletionRequest: z.object({ properties: z.record(z.string(), z.unknown()) }) }),
      }),
    })
    const { components } = request.parse(await (await fetch(`${system.url}/openapi.json`)).json())
    const fields = Object.keys(components.schemas.ChatCompletionRequest.properties)
    expect(fields).toEqual(expect.arrayContaining(Object.keys(parameters)))
  })

  test('that is too long, or has other images than places, fails before anything is run', async () => {
    const long = await ask({ image: base64, prompt: 'a '.repeat(600) })
    expect(long).toMatchObject({ status: 'failed', error: { code: 'invalid_input' } })
    expect(long.error?.message).toMatch(/input\.prompt: at most 500 tokens.*the text is 6\d\d and its images 20/)
    const response = await fetch(`${system.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'a '.repeat(600) }], max_tokens: 3 }),
    })
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({
      error: { code: 'invalid_input', message: expect.stringMatching(/at most 500 tokens.*the text is 6\d\d/) },
    })
    const misplaced = await ask({ image: base64, messages: [turn('user', text('a'))] })
    expect(misplaced.error?.message).toMatch(/there are 0 for 1/)
  })
})
