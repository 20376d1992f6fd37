import { expect, test } from 'vitest'

import { answerJobs } from '../../test-support/answer-jobs.ts'
import { chatModel } from '../../test-support/chat-models.ts'
import { ask, postChat } from '../../test-support/post-chat.ts'
import { startApi, type TestApi } from '../../test-support/start-api.ts'
import { chatCompletionSchema } from './completion.ts'

async function startChat(
  answer?: Parameters<typeof answerJobs>[1],
  env: Record<string, string> = {},
): Promise<TestApi> {
  const api = await startApi(env)
  api.models.models = [chatModel]
  if (answer !== undefined) answerJobs(api.jobs, answer)
  return api
}

async function statesOf(api: TestApi): Promise<unknown[]> {
  return Promise.all(api.jobs.submitted.map(async ({ job }) => (await api.jobs.of(null).read(job.id))?.status))
}

test('n choices are n jobs, whose seeds count up, and the prompt counts once', async () => {
  const api = await startChat(({ parameters }) => ({
    output: { text: `seed ${JSON.stringify(parameters['seed'])}`, usage: { prompt_tokens: 10, completion_tokens: 2 } },
  }))
  const response = await postChat(api, { model: 'shapes-chat', messages: [ask('?')], n: 3, seed: 5 })
  const completion = chatCompletionSchema.parse(await response.json())
  expect(completion.choices.map(({ index, message }) => [index, message.content])).toEqual([
    [0, 'seed 5'],
    [1, 'seed 6'],
    [2, 'seed 7'],
  ])
  expect(completion.usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 6, total_tokens: 16 })
  expect(completion.vision_queue.jobs).toEqual(api.jobs.submitted.map(({ job }) => job.id))
})

test('the same key gives the same answer, of every choice', async () => {
  const api = await startChat(() => ({ output: { text: 'a circle' } }))
  const body = { model: 'shapes-chat', messages: [ask('?')], n: 2, temperature: 1 }
  const send = async (): Promise<Response> => postChat(api, body, { headers: { 'Idempotency-Key': 'k1' } })
  const [first, second] = [await send(), await send()]
  expect([first.headers.get('idempotent-replayed'), second.headers.get('idempotent-replayed')]).toEqual([null, 'true'])
  expect(await second.json()).toEqual(await first.json())
  expect(api.jobs.submitted).toHaveLength(2)
})

test('an answer that does not come in time is 504, and its job is canceled', async () => {
  const api = await startChat(undefined, { CHAT_WAIT_MS: '1000' })
  for (const n of [1, 2]) {
    const response = await postChat(api, { model: 'shapes-chat', messages: [ask('?')], n })
    expect(response.status).toBe(504)
    expect(await response.json()).toMatchObject({ error: { type: 'server_error', code: 'deadline_exceeded' } })
  }
  expect(await statesOf(api)).toEqual(['canceled', 'canceled', 'canceled'])
})

test('a client that goes away cancels its jobs, unless they can be asked for again', async () => {
  const api = await startChat()
  for (const headers of [{}, { 'Idempotency-Key': 'k1' }]) {
    const client = new AbortController()
    const before = api.jobs.submitted.length
    const asked = { model: 'shapes-chat', messages: [ask('?')], n: 2 }
    const answering = postChat(api, asked, { headers, signal: client.signal })
    await expect.poll(() => api.jobs.submitted.length).toBe(before + 2)
    await expect.poll(() => api.jobs.openWatches()).toBe(2)
    client.abort()
    await expect(answering).rejects.toThrow('aborted')
    await expect.poll(() => api.jobs.openWatches()).toBe(0)
  }
  await expect.poll(async () => statesOf(api)).toEqual(['canceled', 'canceled', 'queued', 'queued'])
})

test('what one choice is refused for cancels the others', async () => {
  const api = await startChat()
  const { submit } = api.jobs
  let calls = 0
  api.jobs.submit = async (...job) => {
    calls += 1
    if (calls === 2) throw new Error('no room')
    return submit(...job)
  }
  const response = await postChat(api, { model: 'shapes-chat', messages: [ask('?')], n: 3 })
  expect(response.status).toBe(500)
  expect(await statesOf(api)).toEqual(['canceled', 'canceled'])
})
