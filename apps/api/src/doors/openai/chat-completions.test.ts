import { inputOfParts } from '@vision-queue/queue'
import { expect, test } from 'vitest'

import type { JsonValue } from '../../intake/submission.ts'
import { answerJobs, type Doing } from '../../test-support/answer-jobs.ts'
import { chatModel, wordyModels } from '../../test-support/chat-models.ts'
import { png } from '../../test-support/images.ts'
import { ask, postChat } from '../../test-support/post-chat.ts'
import { startApi, type TestApi } from '../../test-support/start-api.ts'
import { chatCompletionSchema } from './completion.ts'

async function startChat(output: Doing['output'] | Parameters<typeof answerJobs>[1]): Promise<TestApi> {
  const api = await startApi()
  api.models.models = [chatModel, ...wordyModels]
  answerJobs(api.jobs, typeof output === 'function' ? output : () => ({ output }))
  return api
}

async function complete(api: TestApi, body: object): Promise<ReturnType<typeof chatCompletionSchema.parse>> {
  const response = await postChat(api, body)
  const answer: unknown = await response.json()
  expect([response.status, answer]).toEqual([200, expect.anything()])
  return chatCompletionSchema.parse(answer)
}

const redAnswers = { answers: [{ answer: 'red', score: 0.5 }] }

test('a conversation is a job of the model that talks, and its text the message', async () => {
  const api = await startChat({
    text: 'A red circle.',
    tokens: 5,
    finish_reason: 'length',
    usage: { prompt_tokens: 70, text_tokens: 6, image_tokens: 64, completion_tokens: 5, cached_images: 1 },
    regions: [{ label: 'circle' }],
    images: [{ width: 1, height: 1, used_width: 512, used_height: 512, tiles: 1, tokens: 64, downscaled: false }],
  })
  const response = await postChat(api, {
    model: 'shapes-chat',
    messages: [
      { role: 'developer', content: 'Be brief.' },
      ask('What is this?'),
      { role: 'assistant', content: 'A circle.' },
      { role: 'user', content: 'Which colour?' },
    ],
    max_tokens: 5,
  })
  const [submitted] = api.jobs.submitted
  if (submitted === undefined) throw new Error('nothing was submitted')
  expect(inputOfParts(submitted.job)).toEqual({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'What is this?' }, { type: 'image' }] },
      { role: 'assistant', content: 'A circle.' },
      { role: 'user', content: 'Which colour?' },
    ],
  })
  expect(submitted.job.parameters).toEqual({ max_new_tokens: 5 })
  expect(Buffer.from(submitted.image ?? [])).toEqual(png)
  const { id, createdAt } = submitted.job
  expect(response.headers.get('x-job-id')).toBe(id)
  expect(chatCompletionSchema.parse(await response.json())).toEqual({
    id: id.replace('job_', 'chatcmpl-'),
    object: 'chat.completion',
    created: Math.floor(createdAt / 1000),
    model: 'shapes-chat@1',
    system_fingerprint: null,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'A red circle.', refusal: null },
        logprobs: null,
        finish_reason: 'length',
        regions: [{ label: 'circle' }],
      },
    ],
    usage: {
      prompt_tokens: 70,
      completion_tokens: 5,
      total_tokens: 75,
      prompt_tokens_details: { text_tokens: 6, image_tokens: 64 },
    },
    vision_queue: {
      jobs: [id],
      cached_images: 1,
      images: [{ width: 1, height: 1, used_width: 512, used_height: 512, tiles: 1, tokens: 64, downscaled: false }],
    },
  })
})

/** A model, a body, the job's input, its output, and the message. */
const forms: [string, object, object, Record<string, JsonValue>, string][] = [
  ['shapes-vqa', { messages: [ask('What colour?')] }, { question: 'What colour?' }, redAnswers, 'red'],
  [
    'shapes-entailment',
    { messages: [ask('There is a circle.')] },
    { text: 'There is a circle.' },
    { label: 'yes', confidence: 0.9, scores: { yes: 0.9, no: 0.1, maybe: 0 } },
    'yes',
  ],
  ['shapes-caption', { messages: [ask('Describe it.')] }, {}, { text: 'a red circle', tokens: 4 }, 'a red circle'],
  [
    'shapes-caption',
    { messages: [ask('Describe it.'), { role: 'assistant', content: 'there is' }] },
    { prompt: 'there is' },
    { text: 'there is a circle', tokens: 4 },
    'there is a circle',
  ],
  ['shapes-classify', { messages: [ask('')] }, {}, { labels: [{ label: 'circle', score: 0.7 }] }, 'circle'],
  [
    'shapes-clip',
    { messages: [ask('')], response_format: { type: 'choice', choices: ['cat', 'dog'] } },
    { candidate_labels: ['cat', 'dog'] },
    { labels: [{ label: 'dog', score: 0.7 }] },
    'dog',
  ],
  [
    'shapes-clip',
    {
      messages: [ask('')],
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'animal', schema: { type: 'object', properties: { it: { enum: ['cat', 'dog'] } } } },
      },
    },
    { candidate_labels: ['cat', 'dog'] },
    { labels: [{ label: 'dog', score: 0.7 }] },
    '{"it":"dog"}',
  ],
]
test.each(forms)('%s is asked by what it takes: %#', async (model, body, input, output, content) => {
  const api = await startChat(output)
  const completion = await complete(api, { model, ...body })
  expect(inputOfParts(api.jobs.submitted[0]?.job ?? { input: {}, parts: [] })).toEqual(input)
  expect(completion.choices.map(({ message }) => message.content)).toEqual([content])
})

test('of a question only the last turn is asked, about the images of the last turn that has some', async () => {
  const api = await startChat(redAnswers)
  await complete(api, {
    model: 'shapes-vqa',
    messages: [
      { role: 'system', content: 'Be brief.' },
      ask('What is this?', `data:image/png;base64,${png.subarray(0, 60).toString('base64')}`),
      { role: 'assistant', content: 'a circle' },
      ask('What is that?'),
      { role: 'assistant', content: 'a star' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Which' },
          { type: 'text', text: 'colour?' },
        ],
      },
    ],
  })
  const [submitted] = api.jobs.submitted
  expect(submitted && inputOfParts(submitted.job)).toEqual({ question: 'Which\ncolour?' })
  expect(Buffer.from(submitted?.image ?? [])).toEqual(png)
})

test('as many answers are asked for as there are to be alternatives', async () => {
  const api = await startChat(redAnswers)
  const completion = await complete(api, {
    model: 'shapes-vqa',
    messages: [ask('?')],
    logprobs: true,
    top_logprobs: 3,
  })
  expect(api.jobs.submitted[0]?.job.parameters).toEqual({ top_k: 3 })
  expect(completion.choices[0]?.logprobs?.content).toMatchObject([{ token: 'red', logprob: Math.log(0.5) }])
})

test('an uploaded image is asked about by its id', async () => {
  const api = await startChat(redAnswers)
  const uploaded = await fetch(`${api.url}/images`, { method: 'POST', body: new Blob([Uint8Array.from(png)]) })
  const { id } = Object(await uploaded.json())
  await complete(api, { model: 'shapes-vqa', messages: [ask('?', String(id))] })
  expect(api.jobs.submitted[0]?.job.parts[0]).toMatchObject({ kind: 'blob', hash: String(id).slice(4) })
})
