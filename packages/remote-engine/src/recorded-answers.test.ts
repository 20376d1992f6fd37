import { VisionQueueError } from '@vision-queue/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { type Asked, type FakeOpenAi, startFakeOpenAi } from '../test/fake-openai.ts'
import { closeRemotes, jobOf, openRemote } from '../test/open-remote.ts'
import { NoRoomError } from './remote-server.ts'
import { failureOf } from './server-failure.ts'

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

describe('a refusal', () => {
  const vllmError = (code: number, message: string, type: string) => ({ error: { message, type, param: null, code } })
  const ollamaError = (message: string, type: string) => ({ error: { message, type, param: null, code: null } })
  it.each<[string, number, unknown, Record<string, string>, object]>([
    [
      'vLLM, a prompt that is too long',
      400,
      vllmError(400, "This model's maximum context length is 4096 tokens.", 'BadRequestError'),
      {},
      { code: 'invalid_input', detail: expect.stringMatching(/says: This model's maximum/) },
    ],
    [
      'vLLM before 0.10, flat',
      400,
      { object: 'error', message: 'bad', type: 'BadRequestError', code: 400 },
      {},
      { code: 'invalid_input', detail: expect.stringMatching(/says: bad$/) },
    ],
    [
      'vLLM, another model',
      404,
      vllmError(404, 'The model `b` does not exist.', 'NotFoundError'),
      {},
      { code: 'model_unavailable' },
    ],
    [
      'FastAPI, by fields',
      422,
      { detail: [{ loc: ['body'], msg: 'Field required' }] },
      {},
      { code: 'invalid_input', detail: expect.stringMatching(/says: Field required/) },
    ],
    [
      'llama.cpp, a prompt that is too long',
      400,
      {
        error: {
          code: 400,
          message: 'request (4476 tokens) exceeds the available context size',
          type: 'exceed_context_size_error',
          n_ctx: 4096,
        },
      },
      {},
      { code: 'invalid_input' },
    ],
    [
      'llama.cpp, loading',
      503,
      { error: { code: 503, message: 'Loading model', type: 'unavailable_error' } },
      {},
      { code: 'model_unavailable' },
    ],
    [
      'Ollama, without the model',
      404,
      ollamaError('model "b" not found, try pulling it first', 'not_found_error'),
      {},
      { code: 'model_unavailable' },
    ],
    [
      'Ollama, full',
      503,
      ollamaError('server busy, please try again.  maximum pending requests exceeded', 'api_error'),
      {},
      { retryAfterMs: null },
    ],
    [
      'SGLang, full',
      503,
      { object: 'error', message: 'The request queue is full.', type: 'SERVICE_UNAVAILABLE', code: 503 },
      {},
      { retryAfterMs: null },
    ],
    ['Triton, full', 503, { error: 'Exceeds maximum queue size' }, {}, { retryAfterMs: null }],
    [
      'OpenAI, too fast',
      429,
      { error: { message: 'Rate limit reached', type: 'requests', code: 'rate_limit_exceeded' } },
      { 'Retry-After': '2' },
      { retryAfterMs: 2000 },
    ],
    [
      'OpenAI, too fast, to the millisecond',
      429,
      {},
      { 'Retry-After-Ms': '250', 'Retry-After': '1' },
      { retryAfterMs: 250 },
    ],
    [
      'one of these services, full',
      429,
      { error: { message: 'Queue is full.', type: 'rate_limit_error', code: 'queue_full', param: null } },
      { 'Retry-After': '3' },
      { retryAfterMs: 3000 },
    ],
    [
      'one of these services, without engines',
      503,
      { error: { message: 'No consumer.', type: 'server_error', code: 'model_unavailable', param: null } },
      { 'Retry-After': '5' },
      { code: 'model_unavailable' },
    ],
    ['a proxy, nobody behind it', 503, '<html>503 Service Unavailable</html>', {}, { code: 'model_unavailable' }],
    ['a proxy, slow down', 503, '', { 'Retry-After': '1' }, { retryAfterMs: 1000 }],
    ['a proxy, gone', 502, '<html>Bad Gateway</html>', {}, { code: 'model_unavailable' }],
    [
      'any, a wrong key',
      401,
      { error: { message: 'Invalid API key sk-secret' } },
      {},
      { code: 'model_unavailable', detail: expect.not.stringContaining('sk-secret') },
    ],
  ])('of %s', async (_, status, answer, headers, expected) => {
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer)
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    const failure = await failureOf(
      {
        status,
        headers: lower,
        pieces: async function* () {},
        bytes: async () => Buffer.from(text),
        text: async () => text,
      },
      [],
    )
    expect(failure).toMatchObject(expected)
    expect(failure instanceof NoRoomError).toBe('retryAfterMs' in expected)
  })

  it.each<[string, unknown, object]>([
    ['vLLM', vllmError(500, 'EngineCore encountered an issue', 'InternalServerError'), { code: 'model_unavailable' }],
    [
      'vLLM, of the job',
      vllmError(400, 'bad grammar', 'BadRequestError'),
      { code: 'invalid_input', detail: expect.stringMatching(/bad grammar/) },
    ],
    [
      'llama.cpp',
      { error: { code: 500, message: 'Context size has been exceeded.', type: 'server_error' } },
      { code: 'model_unavailable' },
    ],
    ['one that is full only now', { error: { code: 429, message: 'full' } }, { code: 'model_unavailable' }],
  ])('in the middle of an answer of %s', async (_, error, expected) => {
    fake.answer = saying([delta('A'), error, '[DONE]'])
    await expect(openRemote(fake.url).run(jobOf('what'))).rejects.toMatchObject(expected)
  })
})
