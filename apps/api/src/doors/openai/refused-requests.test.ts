import { VisionQueueError } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import { chatModel, wordyModels } from '../../test-support/chat-models.ts'
import { ask, postChat } from '../../test-support/post-chat.ts'
import { startApi, type TestApi } from '../../test-support/start-api.ts'
import { openAiErrorSchema } from './error-response.ts'
import { withRequestNames } from './foreign-fields.ts'
import { chatRequestSchema } from './request-schema.ts'

async function startChat(env: Record<string, string> = {}): Promise<TestApi> {
  const api = await startApi(env)
  api.models.models = [chatModel, ...wordyModels]
  return api
}

const talk = { model: 'shapes-chat', messages: [ask('?')] }
const vqa = { model: 'shapes-vqa', messages: [ask('?')] }
const user = (...content: object[]): object[] => [{ role: 'user', content }]
const image = (url: string, detail = 'auto'): object => ({ type: 'image_url', image_url: { url, detail } })

test.each([
  ['tools', { ...talk, tools: [{ type: 'function' }] }, /tools are not called/],
  ['tool_choice', { ...talk, tool_choice: 'required' }, /tools are not called/],
  ['audio', { ...talk, audio: { voice: 'alloy' } }, /not supported/],
  ['modalities', { ...talk, modalities: ['text', 'audio'] }, /text alone/],
  ['logit_bias', { ...talk, logit_bias: { 50256: -100 } }, /no entries/],
  ['reasoning_effort', { ...talk, reasoning_effort: 'high' }, /none/],
  ['prediction', { ...talk, prediction: { type: 'content', content: 'x' } }, /not supported/],
  ['guided_json', { ...talk, guided_json: {} }, /no field of this name/],
  ['messages', { model: 'shapes-chat' }, /an array/],
  ['messages', { ...talk, messages: [] }, /at least 1/],
  ['messages.0.role', { ...talk, messages: [{ role: 'tool', content: 'x' }] }, /tools are not called/],
  [
    'messages.0.tool_calls',
    { ...talk, messages: [{ role: 'assistant', tool_calls: [{ id: 'x', type: 'function' }] }] },
    /tools are not called/,
  ],
  ['messages.0.content', { ...talk, messages: user({ type: 'input_audio', input_audio: {} }) }, /image_url/],
  ['messages.0.content', { ...talk, messages: user(image('x', 'original')) }, /auto, low or high/],
  [
    'messages.0.content.0.image_url.url',
    { ...talk, messages: user(image('https://example.com/a.jpg')) },
    /not fetched/,
  ],
  ['messages.0.content.0.image_url.url', { ...talk, messages: user(image('data:image/png;base64,!')) }, /character 1/],
  [
    'messages',
    { ...talk, messages: [ask('?'), ...user({ ...image('img_x'), image_url: { url: 'aGk=', detail: 'high' } })] },
    /same image_url.detail/,
  ],
  ['n', { ...talk, n: 17 }, /at most 16/],
  ['temperature', { ...talk, temperature: 3 }, /at most 2/],
  ['top_logprobs', { ...talk, top_logprobs: 2 }, /logprobs/],
  ['response_format.type', { ...talk, response_format: { type: 'grammar' } }, /json_schema/],
  ['stop', { ...talk, stop: 5 }, /a string/],
  ['metadata.a', { ...talk, metadata: { a: 1 } }, /a string/],
  ['temperature', { ...vqa, temperature: 0.5 }, /does not have it/],
  ['stop', { ...vqa, stop: ['x'] }, /does not have it/],
  ['no_repeat_ngram_size', { ...vqa, no_repeat_ngram_size: 2 }, /does not have it/],
  ['max_pixels', { ...vqa, max_pixels: 10_000 }, /does not have it/],
  ['response_format', { ...vqa, response_format: { type: 'json_object' } }, /does not have it/],
  ['n', { ...vqa, n: 2 }, /always gives the same answer/],
  ['logprobs', { model: 'shapes-caption', messages: [ask('?')], logprobs: true }, /does not have it/],
  ['response_format', { model: 'shapes-clip', messages: [ask('?')] }, /labels to choose from/],
  ['model', { model: 'shapes-embed', messages: [ask('?')] }, /image-feature-extraction, to POST \/jobs/],
])('%s is refused by name with 400: %#', async (param, body, words) => {
  const api = await startChat()
  const response = await postChat(api, body)
  const { error } = openAiErrorSchema.parse(await response.json())
  expect([response.status, error.type, error.code, error.param]).toEqual([
    400,
    'invalid_request_error',
    'invalid_request',
    param,
  ])
  expect(error.message).toMatch(words)
  expect([response.headers.get('x-should-retry'), api.jobs.submitted]).toEqual(['false', []])
})

test.each([
  ['messages', { ...vqa, messages: [{ role: 'user', content: '?' }] }, /1 image \(missing/],
  ['messages', { ...vqa, messages: user({ type: 'text', text: '?' }, image('aGk='), image('aGk=')) }, /there are 2/],
  ['messages', { ...vqa, messages: [ask('')] }, /a string \(missing\)/],
  ['stop', { ...talk, stop: ['a', 'b', 'c', 'd', 'e'] }, /at most 4/],
  ['top_logprobs', { ...vqa, logprobs: true, top_logprobs: 20 }, /at most 5/],
])('what the model does not take is 422 and about %s, a field of the request: %#', async (param, body, words) => {
  const api = await startChat()
  const response = await postChat(api, body)
  const { error } = openAiErrorSchema.parse(await response.json())
  expect([response.status, error.code, error.param]).toEqual([422, 'invalid_input', param])
  expect(error.message).toMatch(words)
})

test('a model that is not there goes before all other faults', async () => {
  const api = await startChat()
  const response = await postChat(api, { model: 'gpt-4o', messages: 5, tools: 'x' })
  expect(response.status).toBe(404)
  expect(await response.json()).toMatchObject({
    error: {
      type: 'invalid_request_error',
      code: 'model_not_found',
      message: expect.stringContaining('shapes-chat@1'),
    },
  })
})

test.each([
  ['no JSON', '{"model":', {}, {}, 400, 'invalid_request'],
  ['another type', 'x', { 'Content-Type': 'text/plain' }, {}, 415, 'unsupported_media_type'],
  ['a form', 'model=x', { 'Content-Type': 'application/x-www-form-urlencoded' }, {}, 415, 'unsupported_media_type'],
  ['a large body', JSON.stringify({ a: 'x'.repeat(2000) }), {}, { MAX_BODY_BYTES: '1024' }, 413, 'payload_too_large'],
  ['a bad key', JSON.stringify(talk), { Authorization: 'Bearer vq_nobody_x' }, {}, 401, 'unauthorized'],
  ['no key', JSON.stringify(talk), {}, { ALLOW_ANONYMOUS: 'false' }, 401, 'unauthorized'],
  [
    'a key of OpenAI',
    JSON.stringify(talk),
    { Authorization: 'Bearer sk-x' },
    { ALLOW_ANONYMOUS: 'false' },
    401,
    'unauthorized',
  ],
  ['a bad Idempotency-Key', JSON.stringify(talk), { 'Idempotency-Key': 'a b' }, {}, 400, 'invalid_request'],
])('%s has an error in OpenAI’s form', async (_what, body, headers, env, status, code) => {
  const api = await startChat(env)
  const response = await postChat(api, body, { headers })
  const { error } = openAiErrorSchema.parse(await response.json())
  expect([response.status, response.headers.get('content-type'), error.code]).toEqual([
    status,
    'application/json',
    code,
  ])
})

test.each([
  ['GET', '/v1/nothing', 404, 'not_found'],
  ['POST', '/v1/embeddings', 404, 'not_found'],
  ['GET', '/v1', 404, 'not_found'],
  ['GET', '/v1/chat/completions', 405, 'method_not_allowed'],
  ['DELETE', '/v1/models', 405, 'method_not_allowed'],
  ['GET', '/v1/models/nothing', 404, 'model_not_found'],
])('%s %s is %i in OpenAI’s form', async (method, path, status, code) => {
  const api = await startChat()
  const response = await fetch(`${api.url}${path}`, { method })
  expect([response.status, openAiErrorSchema.parse(await response.json()).error.code]).toEqual([status, code])
})

test('a full queue is 429 with Retry-After', async () => {
  const api = await startChat()
  api.jobs.refusal = new VisionQueueError('queue_full', '5 jobs wait.', { retryAfterMs: 2600 })
  const response = await postChat(api, talk)
  expect([response.status, response.headers.get('retry-after'), response.headers.get('x-should-retry')]).toEqual([
    429,
    '3',
    null,
  ])
  expect(await response.json()).toMatchObject({ error: { type: 'rate_limit_error', code: 'queue_full' } })
})

test('a key has its rate and its scopes here, too', async () => {
  const api = await startChat({ ALLOW_ANONYMOUS: 'false' })
  const reader = { Authorization: `Bearer ${api.keys.add(['read'], { requestsPerMinute: 1 })}` }
  const refused = await postChat(api, talk, { headers: reader })
  expect([refused.status, refused.headers.get('ratelimit')]).toEqual([403, '"minute";r=0;t=30'])
  expect(await refused.json()).toMatchObject({ error: { type: 'permission_error', code: 'forbidden' } })
  const limited = await fetch(`${api.url}/v1/models`, { headers: reader })
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '30'])
})

test.each([
  ['failed', 500, 'internal_error'],
  ['canceled', 410, 'job_canceled'],
] as const)('a job that ended as %s is %i', async (status, answered, code) => {
  const api = await startChat()
  const answering = postChat(api, talk)
  await expect.poll(() => api.jobs.submitted.length).toBe(1)
  const { id } = api.jobs.submitted[0]?.job ?? { id: '' }
  await expect.poll(() => api.jobs.openWatches()).toBe(1)
  api.jobs.finish(id, status)
  const response = await answering
  expect([response.status, response.headers.get('x-job-id')]).toEqual([answered, id])
  expect(openAiErrorSchema.parse(await response.json()).error.code).toBe(code)
})

test('refusals count, and requests are counted by their route', async () => {
  const api = await startChat()
  await postChat(api, { ...talk, tools: [1] })
  const metrics = await (await fetch(`${api.url}/metrics`)).text()
  expect(metrics).toContain('vision_queue_jobs_refused_total{code="invalid_request"} 1')
  expect(metrics).toContain(
    'vision_queue_http_requests_total{route="/v1/chat/completions",method="POST",status="400"} 1',
  )
})

test('what a job fails for names the fields of the request', () => {
  const failure = new VisionQueueError(
    'invalid_input',
    'input.messages: 900 tokens of text and 64 of 1 image, with parameters.max_new_tokens at most 512.',
  )
  const request = chatRequestSchema.parse({ messages: [{ role: 'user', content: '?' }], max_tokens: 5 })
  const told = withRequestNames(failure, request)
  expect(told.detail).toBe('messages: 900 tokens of text and 64 of 1 image, with max_tokens at most 512.')
  expect(told.fields.map(({ field }) => field)).toEqual(['messages'])
})
