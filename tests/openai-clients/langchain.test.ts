import { HumanMessage, SystemMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { expect, test } from 'vitest'
import { z } from 'zod'

import { allOf, imageUri, jobStates, said, serveChat, structured } from './served-chat.ts'

const messages = [
  new SystemMessage('Be brief.'),
  new HumanMessage({
    content: [
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url: imageUri } },
    ],
  }),
]

const connect = (url: string, fields: { model?: string; maxTokens?: number } = {}) =>
  new ChatOpenAI({
    model: 'shapes-chat',
    apiKey: 'none',
    maxRetries: 0,
    configuration: { baseURL: `${url}/v1` },
    ...fields,
  })

test('invoke asks about an image', async () => {
  const { url } = await serveChat()
  const answer = await connect(url).invoke(messages)
  expect(answer.text).toBe(said)
  expect(answer.usage_metadata).toMatchObject({ input_tokens: 70, output_tokens: 4, total_tokens: 74 })
})

test('stream streams it', async () => {
  const { url } = await serveChat()
  const pieces = await allOf(await connect(url).stream(messages))
  expect(pieces.map(({ text }) => text).join('')).toBe(said)
})

test('withStructuredOutput gives an object by its JSON Schema', async () => {
  const { url } = await serveChat()
  const schema = z.object({ shape: z.string(), colour: z.string() })
  const model = connect(url).withStructuredOutput(schema, { method: 'jsonSchema', name: 'figure' })
  expect(await model.invoke(messages)).toEqual(structured)
})

test('an error has our text', async () => {
  const { url } = await serveChat()
  await expect(connect(url, { model: 'gpt-4o' }).invoke(messages)).rejects.toThrow('shapes-chat@1')
})

test('an abort cancels the job', async () => {
  const api = await serveChat()
  const controller = new AbortController()
  const answering = connect(api.url, { maxTokens: 200 }).invoke(messages, { signal: controller.signal })
  await expect.poll(() => api.jobs.openWatches()).toBe(1)
  controller.abort()
  await expect(answering).rejects.toThrow(/[Aa]bort/)
  await expect.poll(async () => jobStates(api)).toEqual(['canceled'])
})
