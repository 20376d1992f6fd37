import { VisionQueueError } from '@vision-queue/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { type Asked, type FakeOpenAi, startFakeOpenAi } from '../test/fake-openai.ts'
import { closeRemotes, jobOf, openRemote } from '../test/open-remote.ts'

/** Answers in the forms that the servers' sources and documents have, as of 2026. */
let fake: FakeOpenAi
beforeEach(async () => {
  fake = await startFakeOpenAi()
})
afterEach(async () => {
  await closeRemotes()
  await fake.close()
})

const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_790_000_000, model: 'a-model' }
const delta = (content: string | null, more: object = {}) => ({
  ...head,
  choices: [{ index: 0, delta: content === null ? {} : { content }, logprobs: null, finish_reason: null, ...more }],
})

/** vLLM: the role first; the usage, where it is asked for, in a chunk without choices; tokens' fields beside OpenAI's. */
const vllm = [
  {
    ...head,
    choices: [{ index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
    prompt_token_ids: null,
  },
  delta('A red', { token_ids: null }),
  delta(' circle', { token_ids: null }),
  delta('', { finish_reason: 'stop', stop_reason: null, token_ids: null }),
  {
    ...head,
    choices: [],
    usage: { prompt_tokens: 70, total_tokens: 74, completion_tokens: 4, prompt_tokens_details: null },
  },
  '[DONE]',
]
/** llama.cpp's server: a content of null first, times with the last chunk. */
const llamaCpp = [
  {
    ...head,
    choices: [{ finish_reason: null, index: 0, delta: { role: 'assistant', content: null } }],
    system_fingerprint: 'b1',
  },
  { ...head, choices: [{ finish_reason: null, index: 0, delta: { content: 'A red' } }] },
  { ...head, choices: [{ finish_reason: null, index: 0, delta: { content: ' circle' } }] },
  { ...head, choices: [{ finish_reason: 'stop', index: 0, delta: {} }] },
  {
    ...head,
    choices: [],
    usage: { completion_tokens: 4, prompt_tokens: 70, total_tokens: 74 },
    timings: { prompt_n: 70, predicted_ms: 12.5 },
  },
  '[DONE]',
]
/** Ollama: a role with each piece, its own fingerprint. */
const ollama = [
  {
    ...head,
    system_fingerprint: 'fp_ollama',
    choices: [{ index: 0, delta: { role: 'assistant', content: 'A red' }, finish_reason: null }],
  },
  {
    ...head,
    system_fingerprint: 'fp_ollama',
    choices: [{ index: 0, delta: { role: 'assistant', content: ' circle' }, finish_reason: null }],
  },
  {
    ...head,
    system_fingerprint: 'fp_ollama',
    choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: 'stop' }],
  },
  {
    ...head,
    system_fingerprint: 'fp_ollama',
    choices: [],
    usage: { prompt_tokens: 70, completion_tokens: 4, total_tokens: 74 },
  },
  '[DONE]',
]

function saying(events: readonly unknown[]): (asked: Asked) => void {
  return ({ reply }) => {
    for (const event of events) reply.event(event)
  }
}

describe('an answer', () => {
  it.each([
    ['vLLM', vllm],
    ['llama.cpp’s server', llamaCpp],
    ['Ollama', ollama],
  ])('of %s comes in pieces, with its usage', async (_, events) => {
    fake.answer = saying(events)
    const pieces: string[] = []
    const { output } = await openRemote(fake.url).run(
      jobOf('what', { onTokens: ({ text, index }) => pieces.push(`${index}:${text}`) }),
    )
    expect(pieces).toEqual(['0:A red', '5: circle'])
    expect(output).toEqual({
      text: 'A red circle',
      tokens: 4,
      finish_reason: 'stop',
      usage: { prompt_tokens: 70, completion_tokens: 4 },
    })
  })

  it('of a server that does not stream comes as a whole', async () => {
    fake.answer = ({ reply }) =>
      reply.json(200, {
        id: 'chatcmpl-1',
        object: 'chat.completion',
        choices: [{ index: 0, message: { role: 'assistant', content: 'A red circle' }, finish_reason: 'length' }],
        usage: { prompt_tokens: 70, completion_tokens: 4, total_tokens: 74 },
      })
    const { output } = await openRemote(fake.url).run(jobOf('what'))
    expect(output).toMatchObject({ text: 'A red circle', finish_reason: 'length', tokens: 4 })
  })

  it('has the logprobs of all chunks, and tokens where no usage is told', async () => {
    const logprobs = (token: string) => ({
      logprobs: {
        content: [{ token, logprob: -0.5, bytes: [65], top_logprobs: [{ token, logprob: -0.5, bytes: null }] }],
      },
    })
    fake.answer = saying([
      delta('A', logprobs('A')),
      delta(' b', logprobs(' b')),
      delta('', { finish_reason: 'stop' }),
      '[DONE]',
    ])
    const { output } = await openRemote(fake.url).run(
      jobOf('what', { parameters: { logprobs: true, top_logprobs: 1 } }),
    )
    expect(output).toMatchObject({
      tokens: 2,
      logprobs: [{ token: 'A' }, { token: ' b', top_logprobs: [{ bytes: null }] }],
    })
  })

  it('is one of the choices, written as JSON or plainly, and told at once', async () => {
    const parameters = { response_format: { type: 'choice', choices: ['red', 'blue'] } }
    const texts: unknown[] = []
    const heard: unknown[] = []
    for (const said of ['"red"', ' blue\n', '"green"']) {
      fake.answer = ({ reply }) => reply.text(said)
      const job = jobOf('which', { parameters, onTokens: (piece) => heard.push(piece) })
      const result = await openRemote(fake.url)
        .run(job)
        .catch((error: unknown) => error)
      texts.push(result instanceof VisionQueueError ? result.code : result)
    }
    expect(texts).toMatchObject([{ output: { text: 'red' } }, { output: { text: 'blue' } }, 'inference_failed'])
    expect(heard).toEqual([])
    expect(fake.asked[0]?.body['response_format']).toMatchObject({ json_schema: { schema: { enum: ['red', 'blue'] } } })
  })

  it('that a server breaks off with an error is none', async () => {
    fake.answer = saying([
      delta('A'),
      { error: { message: 'bad grammar', type: 'BadRequestError', code: 400 } },
      '[DONE]',
    ])
    await expect(openRemote(fake.url).run(jobOf('what'))).rejects.toMatchObject({
      code: 'invalid_input',
      detail: 'The server of this model says: bad grammar',
    })
  })

  it('tells when its tokens came', async () => {
    const { times, inferenceMs } = await openRemote(fake.url).run(jobOf('what'))
    expect((times?.prefillMs ?? 0) + (times?.decodeMs ?? 0)).toBeCloseTo(inferenceMs, 6)
  })
})

describe('a request', () => {
  const body = async (more: Parameters<typeof jobOf>[1], engine: object = {}) => {
    await openRemote(fake.url, engine).run(jobOf('what', more))
    return fake.asked.at(-1)?.body
  }

  it('has the model’s defaults and what the job says, and nothing that is neutral', async () => {
    expect(await body({ parameters: { top_p: 1, stop: ['.'], seed: 7, presence_penalty: 0.5 } })).toEqual({
      model: 'a-model',
      messages: [{ role: 'user', content: 'what' }],
      max_tokens: 512,
      temperature: 0,
      top_p: 1,
      presence_penalty: 0.5,
      stop: ['.'],
      seed: 7,
      stream: true,
      stream_options: { include_usage: true },
    })
  })

  it('has images as data URIs, each in its place', async () => {
    const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0])
    const jpeg = Uint8Array.from([0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0])
    const image = { type: 'image' }
    const messages = [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: [image, { type: 'text', text: 'and' }, image] },
    ]
    const sent = await body({ images: [png, jpeg], input: { messages }, parameters: { detail: 'low' } })
    const uri = (type: string, bytes: Uint8Array) => ({
      type: 'image_url',
      image_url: { url: `data:image/${type};base64,${Buffer.from(bytes).toString('base64')}`, detail: 'low' },
    })
    expect(sent?.messages).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'user', content: [uri('png', png), { type: 'text', text: 'and' }, uri('jpeg', jpeg)] },
    ])
  })
})
