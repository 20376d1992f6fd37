import { describe, expect, it } from 'vitest'

import { NoRoomError } from './remote-server.ts'
import { failureInStream, failureOf } from './server-failure.ts'

/** Refusals in the forms that the servers' sources and documents have, as of 2026. */
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
      { code: 'model_unavailable', detail: 'The server of this model refuses its key (401).' },
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
  ])('in the middle of an answer of %s', (_, error, expected) => {
    expect(failureInStream(JSON.stringify(error), [])).toMatchObject(expected)
  })
})
