import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, generateText, type ModelMessage, Output, streamText } from 'ai'
import { expect, test } from 'vitest'
import { z } from 'zod'

import { allOf, imageUri, jobStates, said, serveChat, structured } from './served-chat.ts'

const messages: ModelMessage[] = [
  {
    role: 'user',
    content: [
      { type: 'text', text: 'What is this?' },
      { type: 'image', image: imageUri },
    ],
  },
]
const system = 'Be brief.'

const connect = (url: string) =>
  createOpenAICompatible({
    name: 'vision-queue',
    baseURL: `${url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  })

test('generateText asks about an image', async () => {
  const { url } = await serveChat()
  const answer = await generateText({ model: connect(url)('shapes-chat'), system, messages })
  expect([answer.text, answer.finishReason, answer.usage.totalTokens]).toEqual([said, 'stop', 74])
})

test('streamText streams it', async () => {
  const { url } = await serveChat()
  const answer = streamText({ model: connect(url)('shapes-chat'), system, messages })
  const pieces = await allOf(answer.textStream)
  expect(pieces.join('')).toBe(said)
  expect([await answer.finishReason, (await answer.usage).totalTokens]).toEqual(['stop', 74])
})

test('an object comes by its JSON Schema', async () => {
  const { url } = await serveChat()
  const schema = z.object({ shape: z.string(), colour: z.string() })
  const { output } = await generateText({
    model: connect(url)('shapes-chat'),
    system,
    messages,
    output: Output.object({ schema }),
  })
  expect(output).toEqual(structured)
})

test('a choice of labels is asked of a model that chooses', async () => {
  const api = await serveChat()
  const answering = generateText({
    model: connect(api.url)('shapes-clip'),
    system,
    messages,
    output: Output.choice({ options: ['cat', 'dog'] }),
  })
  const { output } = await answering
  expect(output).toBe('dog')
})

test('an error is an APICallError with our text', async () => {
  const { url } = await serveChat()
  const answering = generateText({ model: connect(url)('gpt-4o'), system, messages })
  await expect(answering).rejects.toSatisfy(APICallError.isInstance)
  await expect(answering).rejects.toMatchObject({
    statusCode: 404,
    isRetryable: false,
    message: expect.stringContaining('shapes-chat@1'),
  })
})

test('an abort cancels the job', async () => {
  const api = await serveChat()
  const controller = new AbortController()
  const answering = generateText({
    model: connect(api.url)('shapes-chat'),
    system,
    messages,
    maxOutputTokens: 200,
    abortSignal: controller.signal,
  })
  await expect.poll(() => api.jobs.openWatches()).toBe(1)
  controller.abort()
  await expect(answering).rejects.toThrow('aborted')
  await expect.poll(async () => jobStates(api)).toEqual(['canceled'])
})
