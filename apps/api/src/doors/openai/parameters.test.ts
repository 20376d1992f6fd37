import { expect, test } from 'vitest'

import { answerJobs, type Doing } from '../../test-support/answer-jobs.ts'
import { chatModel, wordyModels } from '../../test-support/chat-models.ts'
import { ask, imageUri, postChat } from '../../test-support/post-chat.ts'
import { startApi, type TestApi } from '../../test-support/start-api.ts'

async function startChat(output: Doing['output']): Promise<TestApi> {
  const api = await startApi()
  api.models.models = [chatModel, ...wordyModels]
  answerJobs(api.jobs, () => ({ output }))
  return api
}

async function complete(api: TestApi, body: object): Promise<void> {
  const response = await postChat(api, body)
  expect([response.status, await response.json()]).toEqual([200, expect.anything()])
}

test('every parameter of the model that talks is handed on by its native name', async () => {
  const api = await startChat({ text: '{}' })
  const json_schema = { name: 'it', description: 'what is seen', schema: { type: 'object' }, strict: true }
  await complete(api, {
    model: 'shapes-chat',
    messages: [
      {
        role: 'user',
        content: [{ type: 'image_url', image_url: { url: imageUri, detail: 'high' } }],
      },
    ],
    max_completion_tokens: 5000,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    min_p: 0.1,
    seed: 7,
    stop: 'END',
    presence_penalty: 0.1,
    frequency_penalty: 0.2,
    repetition_penalty: 1.1,
    no_repeat_ngram_size: 3,
    max_pixels: 40_000,
    logprobs: true,
    top_logprobs: 2,
    response_format: { type: 'json_schema', json_schema },
    user: 'u1',
    metadata: { order: '42' },
    priority: 'high',
    deadline_ms: 5000,
    cache: false,
  })
  const job = api.jobs.submitted[0]?.job
  expect(job?.parameters).toEqual({
    // What the model can give at most.
    max_new_tokens: 1024,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    min_p: 0.1,
    seed: 7,
    stop: ['END'],
    presence_penalty: 0.1,
    frequency_penalty: 0.2,
    repetition_penalty: 1.1,
    no_repeat_ngram_size: 3,
    max_pixels: 40_000,
    logprobs: true,
    top_logprobs: 2,
    response_format: { type: 'json_schema', json_schema },
    detail: 'high',
  })
  expect(job).toMatchObject({ metadata: { user: 'u1', order: '42' }, priority: 'high', cache: false })
  expect((job?.deadlineAt ?? 0) - (job?.createdAt ?? 0)).toBe(5000)
})

test('what changes nothing is passed over', async () => {
  const api = await startChat({ answers: [{ answer: 'red', score: 0.5 }] })
  await complete(api, {
    model: 'shapes-vqa',
    messages: [{ ...ask('?'), name: 'ann' }],
    max_tokens: 300,
    temperature: 1,
    top_p: 1,
    top_k: -1,
    min_p: 0,
    seed: 3,
    stop: null,
    presence_penalty: 0,
    frequency_penalty: 0,
    repetition_penalty: 1,
    no_repeat_ngram_size: 0,
    logprobs: false,
    n: 1,
    response_format: { type: 'text' },
    logit_bias: {},
    tools: [],
    tool_choice: 'auto',
    parallel_tool_calls: true,
    modalities: ['text'],
    store: false,
    service_tier: 'auto',
    safety_identifier: 'x',
    prompt_cache_key: 'x',
    stream_options: { include_usage: true },
  })
  expect(api.jobs.submitted[0]?.job.parameters).toEqual({})
})
