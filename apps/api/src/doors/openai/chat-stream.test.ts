import { expect, test } from 'vitest'

import { answerJobs } from '../../test-support/answer-jobs.ts'
import { chatModel, wordyModels } from '../../test-support/chat-models.ts'
import { ask, postChat } from '../../test-support/post-chat.ts'
import { startApi, type TestApi } from '../../test-support/start-api.ts'
import { type Chunk, chunkSchema } from './chunks.ts'
import { openAiErrorSchema } from './error-response.ts'

async function startChat(env: Record<string, string> = {}): Promise<TestApi> {
  const api = await startApi(env)
  api.models.models = [chatModel, ...wordyModels]
  return api
}

const body = { model: 'shapes-chat', messages: [ask('?')], stream: true }

/** What a stream held, with `[DONE]` as it is. */
function dataOf(text: string): unknown[] {
  return [...text.matchAll(/^data: (.*)\n\n/gm)].map(([, data = '']) => (data === '[DONE]' ? data : JSON.parse(data)))
}

/** The role, texts and ends of chunks, in short. */
function short(data: unknown[]): unknown[] {
  return data.map((item) => {
    const chunk = chunkSchema.safeParse(item)
    if (!chunk.success) return openAiErrorSchema.safeParse(item).data?.error.code ?? item
    const [choice] = chunk.data.choices
    if (choice === undefined) return chunk.data.usage
    return [choice.index, choice.delta.role ?? choice.delta.content ?? choice.finish_reason]
  })
}

/** A stream that is read as it comes. */
async function openStream(api: TestApi, asked: object, headers: Record<string, string> = {}) {
  const client = new AbortController()
  const response = await postChat(api, asked, { headers, signal: client.signal })
  let text = ''
  const read = async (): Promise<void> => {
    if (response.body === null) return
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) text += chunk
  }
  const ended = read()
  // Hanging up rejects it; tests that wait for the end still see that.
  ended.catch(() => {})
  return { response, text: () => text, short: () => short(dataOf(text)), ended, hangUp: () => client.abort() }
}

test('the role comes first, then the text as it grows, then the reason of the end, the usage and [DONE]', async () => {
  const api = await startChat()
  const stream = await openStream(api, { ...body, stream_options: { include_usage: true } })
  expect(stream.response.headers.get('content-type')).toBe('text/event-stream')
  const id = stream.response.headers.get('x-job-id') ?? ''
  await expect.poll(stream.short).toEqual([[0, 'assistant']])
  api.jobs.run(id)
  api.jobs.say(id, 'a red')
  await expect.poll(stream.short).toHaveLength(2)
  api.jobs.say(id, 'a red circle')
  api.jobs.finish(id, 'succeeded', {
    text: 'a red circle.',
    finish_reason: 'stop',
    usage: { prompt_tokens: 9, completion_tokens: 4 },
  })
  await stream.ended
  expect(stream.short()).toEqual([
    [0, 'assistant'],
    [0, 'a red'],
    [0, ' circle'],
    [0, '.'],
    [0, 'stop'],
    { prompt_tokens: 9, completion_tokens: 4, total_tokens: 13 },
    '[DONE]',
  ])
  const chunks: Chunk[] = dataOf(stream.text())
    .slice(0, -1)
    .map((chunk) => chunkSchema.parse(chunk))
  expect(new Set(chunks.map((chunk) => chunk.id))).toEqual(new Set([id.replace('job_', 'chatcmpl-')]))
  expect(chunks.slice(0, -1).map(({ usage }) => usage)).toEqual([null, null, null, null, null])
  expect(api.jobs.openWatches()).toBe(0)
})

test('usage is told only who asks for it', async () => {
  const api = await startChat()
  answerJobs(api.jobs, () => ({ output: { text: 'a circle' } }))
  const text = await (await postChat(api, body)).text()
  expect(text).not.toContain('usage')
  expect(short(dataOf(text))).toEqual([[0, 'assistant'], [0, 'a circle'], [0, 'stop'], '[DONE]'])
})

test('an answer that has no text on the way comes in one piece', async () => {
  const api = await startChat()
  answerJobs(api.jobs, () => ({ output: { answers: [{ answer: 'red', score: 0.5 }] } }))
  const text = await (await postChat(api, { ...body, model: 'shapes-vqa', logprobs: true })).text()
  const data = dataOf(text)
  expect(short(data)).toEqual([[0, 'assistant'], [0, 'red'], [0, 'stop'], '[DONE]'])
  expect(chunkSchema.parse(data[2]).choices[0]?.logprobs?.content[0]).toMatchObject({ token: 'red' })
})

test('each of n choices has its pieces under its index', async () => {
  const api = await startChat()
  const stream = await openStream(api, { ...body, n: 2 })
  const [first = '', second = ''] = (stream.response.headers.get('x-job-id') ?? '').split(', ')
  await expect.poll(stream.short).toHaveLength(2)
  api.jobs.run(second)
  api.jobs.say(second, 'b')
  await expect.poll(stream.short).toHaveLength(3)
  api.jobs.finish(second, 'succeeded', { text: 'b' })
  await expect.poll(stream.short).toHaveLength(4)
  api.jobs.run(first)
  api.jobs.finish(first, 'succeeded', { text: 'a' })
  await stream.ended
  expect(stream.short()).toEqual([
    [0, 'assistant'],
    [1, 'assistant'],
    [1, 'b'],
    [1, 'stop'],
    [0, 'a'],
    [0, 'stop'],
    '[DONE]',
  ])
})

test('a job that fails on the way ends the stream with its error', async () => {
  const api = await startChat()
  const stream = await openStream(api, body)
  const id = stream.response.headers.get('x-job-id') ?? ''
  api.jobs.run(id)
  api.jobs.say(id, 'a red')
  api.jobs.finish(id, 'failed')
  await stream.ended
  expect(stream.short()).toEqual([[0, 'assistant'], [0, 'a red'], 'internal_error', '[DONE]'])
})

test('a job that begins anew says nothing twice, and another text than before is an error', async () => {
  const api = await startChat()
  const stream = await openStream(api, { ...body, n: 2 })
  const [first = '', second = ''] = (stream.response.headers.get('x-job-id') ?? '').split(', ')
  await expect.poll(stream.short).toHaveLength(2)
  for (const id of [first, second]) {
    api.jobs.run(id)
    api.jobs.say(id, 'a red')
  }
  await expect.poll(stream.short).toHaveLength(4)
  for (const text of ['a', 'a red', 'a red star']) api.jobs.say(first, text)
  await expect.poll(stream.short).toHaveLength(5)
  api.jobs.finish(first, 'succeeded', { text: 'a red star' })
  await expect.poll(stream.short).toHaveLength(6)
  api.jobs.finish(second, 'succeeded', { text: 'a blue star' })
  await stream.ended
  const told = stream.short().map((piece) => JSON.stringify(piece))
  expect(told.filter((piece) => piece.startsWith('[0,'))).toEqual([
    '[0,"assistant"]',
    '[0,"a red"]',
    '[0," star"]',
    '[0,"stop"]',
  ])
  expect(told.slice(-2)).toEqual(['"queue_unavailable"', '"[DONE]"'])
})

test('a client that goes away cancels its jobs, unless they can be asked for again', async () => {
  const api = await startChat()
  for (const headers of [{}, { 'Idempotency-Key': 'k1' }]) {
    const stream = await openStream(api, { ...body, n: 2 }, headers)
    await expect.poll(stream.short).toHaveLength(2)
    stream.hangUp()
    await expect.poll(() => api.jobs.openWatches()).toBe(0)
  }
  const states = async (): Promise<unknown[]> =>
    Promise.all(api.jobs.submitted.map(async ({ job }) => (await api.jobs.of(null).read(job.id))?.status))
  await expect.poll(states).toEqual(['canceled', 'canceled', 'queued', 'queued'])
})

test('a stream that is asked for again with its key has the whole answer', async () => {
  const api = await startChat()
  const first = await openStream(api, body, { 'Idempotency-Key': 'k1' })
  const id = first.response.headers.get('x-job-id') ?? ''
  api.jobs.run(id)
  api.jobs.say(id, 'a red')
  await expect.poll(first.short).toHaveLength(2)
  first.hangUp()
  const second = await openStream(api, body, { 'Idempotency-Key': 'k1' })
  expect(second.response.headers.get('idempotent-replayed')).toBe('true')
  api.jobs.finish(id, 'succeeded', { text: 'a red star' })
  await second.ended
  expect(second.short().map((piece) => (Array.isArray(piece) ? piece[1] : piece))).toEqual(
    expect.arrayContaining(['assistant', 'stop', '[DONE]']),
  )
  const text = second
    .short()
    .flatMap((piece) => (Array.isArray(piece) ? [piece[1]] : []))
    .slice(1, -1)
    .join('')
  expect(text).toBe('a red star')
})

test('a quiet stream has comments, and goes on while the server closes', async () => {
  const api = await startChat({ SSE_HEARTBEAT_MS: '100' })
  const stream = await openStream(api, body)
  await expect.poll(stream.text).toContain(': heartbeat\n\n')
  api.startClosing()
  const id = stream.response.headers.get('x-job-id') ?? ''
  api.jobs.run(id)
  api.jobs.finish(id, 'succeeded', { text: 'a' })
  await stream.ended
  expect(stream.short().at(-1)).toBe('[DONE]')
})

test('what a submission is refused for is an answer of its own, no stream', async () => {
  const api = await startChat()
  api.jobs.down = true
  const response = await postChat(api, body)
  expect([response.status, response.headers.get('content-type')]).toEqual([503, 'application/json'])
})
