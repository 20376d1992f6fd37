import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { chatFolder } from '@vision-queue/engine/test/chat-folders'
import { type FakeInference, startFakeInference } from '@vision-queue/remote-engine/test/fake-inference'
import { type FakeOpenAi, startFakeOpenAi } from '@vision-queue/remote-engine/test/fake-openai'
import { final } from '@vision-queue/test-support/client'
import { type System, startSystem } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

/**
 * Two services: the models of the first run on the second, which has a tiny language model that sees, and on a server
 * that answers as the test says.
 */
const image = await readFile(fileURLToPath(new URL('../../models/shapes-vqa/1/examples/scene-01.jpg', import.meta.url)))
const key = 'a-secret-key'
let root = ''
let far: System
let near: System
let fake: FakeOpenAi
let tensors: FakeInference
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'remote-'))
  const folder = join(root, 'far', 'chat', '1')
  await mkdir(join(folder, 'onnx'), { recursive: true })
  const { files, graphs } = chatFolder('idefics3')
  for (const [file, content] of Object.entries(files)) await writeFile(join(folder, file), JSON.stringify(content))
  for (const [file, bytes] of Object.entries(graphs)) await writeFile(join(folder, 'onnx', file), bytes)
  fake = await startFakeOpenAi()
  tensors = await startFakeInference()
  far = await startSystem({ consumerEnv: { MODELS: '', MODEL_REPOSITORY: join(root, 'far'), ENGINES: '1' } })
  await writeRemote('theirs', { kind: 'openai', url: far.url, model: 'chat' })
  await writeRemote('fake', { kind: 'openai', url: fake.url, model: 'a-model', api_key_env: 'REMOTE_ENGINE_KEY_FAKE' })
  await writeRemote('double', { kind: 'open-inference', url: tensors.url, model: 'double' })
  await writeRemote('elsewhere', { kind: 'openai', url: 'http://192.0.2.1:8000', model: 'a-model' })
  near = await startSystem({
    apiEnv: { MODELS_REFRESH_MS: '50' },
    consumerEnv: {
      MODELS: '',
      MODEL_REPOSITORY: join(root, 'near'),
      ENGINE_RETRY_MAX_MS: '500',
      REMOTE_ENGINE_KEY_FAKE: key,
    },
  })
}, 120_000)
afterAll(async () => {
  await near.stop()
  await far.stop()
  await fake.close()
  await tensors.close()
  await rm(root, { recursive: true })
})

async function writeRemote(name: string, engine: object): Promise<void> {
  const folder = join(root, 'near', name, '1')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'model.json'), JSON.stringify({ engine }))
}

const answerSchema = z.object({ id: z.string(), status: z.string(), output: z.object({ text: z.string() }).nullable() })
const modelSchema = z.object({
  name: z.string(),
  status: z.string(),
  error: z.string().nullable(),
  task: z.string().nullable().optional(),
})

async function post(url: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

async function ask(system: System, model: string, parameters: object = {}) {
  const input = { image: image.toString('base64'), prompt: 'what is it ?' }
  const body = { model, input, parameters: { max_new_tokens: 12, ...parameters } }
  return answerSchema.parse(await (await post(`${system.url}/jobs`, body, { Prefer: 'wait=20' })).json())
}

async function modelOf(name: string) {
  const { models } = z.object({ models: z.array(modelSchema) }).parse(await (await fetch(`${near.url}/models`)).json())
  return models.find((model) => model.name === name)
}

/** The events of a stream as they come. */
async function* eventsOf(response: Response): AsyncGenerator<{ event: string; data: string }, void, undefined> {
  let text = ''
  for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += piece
    const events = text.split('\n\n')
    text = events.pop() ?? ''
    for (const event of events) {
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(event)?.[1] ?? ''
      yield { event: field('event'), data: field('data') }
    }
  }
}

const chunkSchema = z.object({ choices: z.array(z.object({ delta: z.object({ content: z.string().optional() }) })) })

/** A streamed completion of `near`, as its texts. */
async function* streamOf(model: string, prompt: string): AsyncGenerator<string, void, undefined> {
  const body = { model, messages: [{ role: 'user', content: prompt }], stream: true, max_tokens: 40 }
  for await (const { data } of eventsOf(await post(`${near.url}/v1/chat/completions`, body))) {
    if (data === '' || data === '[DONE]') continue
    const [choice] = chunkSchema.parse(JSON.parse(data)).choices
    if (choice?.delta.content !== undefined && choice.delta.content !== '') yield choice.delta.content
  }
}

describe('a model that another service runs', () => {
  test('answers a job with an image as that service does', async () => {
    const own = await ask(far, 'chat')
    const through = await ask(near, 'theirs')
    expect(through).toMatchObject({ status: 'succeeded', output: { text: own.output?.text } })
    expect(own.output?.text).not.toBe('')
  })

  test('waits while that service is gone, is told of in the list of models, and is answered once it is back', async () => {
    const port = Number(new URL(far.url).port)
    // So that the answer takes its time.
    const ahead = Array.from({ length: 8 }, async (_, seed) =>
      ask(far, 'chat', { temperature: 2, seed, max_new_tokens: 200 }).catch(() => null),
    )
    const parameters = { temperature: 2, seed: 7, max_new_tokens: 400 }
    const submitted = await post(`${near.url}/jobs`, { model: 'theirs', input: { prompt: 'what' }, parameters })
    const { id } = answerSchema.pick({ id: true }).parse(await submitted.json())
    for await (const { event } of eventsOf(await fetch(`${near.url}/jobs/${id}/events`))) if (event === 'token') break
    far.apis[0]?.signal('SIGKILL')
    await far.apis[0]?.exited
    await until(
      async () => (await modelOf('theirs'))?.error?.startsWith('The server of this model') === true,
      'the loss is told',
    )
    await far.addApi(port)
    expect(await final(near.url, id)).toMatchObject({ status: 'succeeded', output: { text: expect.any(String) } })
    await Promise.all(ahead)
  })
})

describe('a server of chat completions', () => {
  test('is asked with its key, and what it says passes the queue piece by piece', async () => {
    let say: (text: string | null) => void = () => {}
    fake.answer = ({ reply }) => {
      say = (text) => (text === null ? reply.end() : reply.piece(text))
      say('one ')
    }
    const heard: string[] = []
    for await (const text of streamOf('fake', 'count')) {
      heard.push(text)
      // The next piece is said when this one has come through.
      say(['two ', 'three', null][heard.length - 1] ?? null)
    }
    expect(heard).toEqual(['one ', 'two ', 'three'])
    expect(fake.asked.at(-1)?.headers.authorization).toBe(`Bearer ${key}`)
  })

  test('hears of it when nobody wants the answer any more', async () => {
    fake.answer = ({ reply }) => reply.piece('never ')
    const body = { model: 'fake', input: { prompt: 'for ever' } }
    const { id } = answerSchema.pick({ id: true }).parse(await (await post(`${near.url}/jobs`, body)).json())
    await until(() => fake.asked.at(-1)?.question === 'for ever', 'the job is there')
    await post(`${near.url}/jobs/${id}/cancel`, {})
    await until(() => fake.asked.at(-1)?.gone() === true, 'the server hears of it')
    expect(await final(near.url, id)).toMatchObject({ status: 'canceled' })
  })

  test('that finds fault with a job is quoted to its caller, who never hears of the key', async () => {
    const message = `max_tokens is too large; ${key}`
    fake.answer = ({ reply }) => reply.json(400, { error: { message, type: 'BadRequestError', code: 400 } })
    const body = { model: 'fake', messages: [{ role: 'user', content: 'x' }] }
    const response = await post(`${near.url}/v1/chat/completions`, body)
    const text = await response.text()
    expect([response.status, text]).toEqual([422, expect.stringContaining('says: max_tokens is too large; …')])
    const known = `${text}${await (await fetch(`${near.url}/models`)).text()}${near.consumers.map((one) => one.output()).join('')}`
    expect(known).not.toContain(key)
  })

  test('that has no room gets the job again, which is no attempt of the job’s', async () => {
    let refused = 0
    fake.answer = ({ question, reply }) => {
      refused += 1
      if (refused <= 6) reply.json(429, { error: { message: 'too many requests' } }, { 'Retry-After': '0' })
      else reply.text(question)
    }
    const body = { model: 'fake', input: { prompt: 'patience' } }
    const answer = await (await post(`${near.url}/jobs`, body, { Prefer: 'wait=20' })).json()
    expect(answer).toMatchObject({ status: 'succeeded', output: { text: 'patience' }, attempts: 1 })
    const told = async (): Promise<string> => (await fetch(`${near.url}/metrics`)).text()
    await until(async () => /vision_queue_remote_refusals_total{model="fake".*} 6/.test(await told()), 'it is told')
    expect(await told()).toMatch(/vision_queue_remote_window_jobs{model="fake".*priority="low"} 1/)
    expect(await (await fetch(`${near.url}/models/fake`)).json()).toMatchObject({
      consumer_stats: [{ remote: { window: { high: 1, low: 1 }, in_flight: { normal: 0 }, refused: 6 } }],
    })
  })

  test('is not asked where nobody has named it, and the folder says so', async () => {
    expect(await modelOf('elsewhere')).toMatchObject({
      status: 'failed',
      error: expect.stringContaining('REMOTE_ENGINE_HOSTS'),
    })
  })
})

test('a server of tensors computes those of a job, and is refused what does not fit', async () => {
  const compute = async (data: readonly unknown[]): Promise<unknown> => {
    const input = { tensors: { x: { data: [1, 2], shape: [1, 2] }, n: { data } } }
    return (await post(`${near.url}/jobs`, { model: 'double', input }, { Prefer: 'wait=20' })).json()
  }
  expect(await compute([3])).toMatchObject({
    status: 'succeeded',
    output: { outputs: { doubled: { data: [2, 4] }, same: { data: [3] } } },
  })
  expect(await compute(['many'])).toMatchObject({ status: 'failed', error: { code: 'invalid_input' } })
})
