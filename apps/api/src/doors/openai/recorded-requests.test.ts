import { readdirSync, readFileSync } from 'node:fs'

import { inputOfParts } from '@vision-queue/queue'
import { expect, test } from 'vitest'

import { chatModel } from '../../test-support/chat-models.ts'
import { png } from '../../test-support/images.ts'
import { postChat } from '../../test-support/post-chat.ts'
import { startApi } from '../../test-support/start-api.ts'

/**
 * What the clients wrote when they were asked for the same: openai 6.49.0 and 7.57.0, @ai-sdk/openai-compatible 2.0.92
 * with ai 6.0.326, @langchain/openai 1.5.8.
 */
const folder = new URL('recorded/', import.meta.url)
const recorded = readdirSync(folder).map((name) => [name.replace('.json', ''), name] as const)

test('there is a request of each kind by each client', () => {
  expect(recorded).toHaveLength(12)
})

test.each(recorded)('%s becomes the same job as by every other client', async (name, file) => {
  const api = await startApi()
  api.models.models = [chatModel]
  const client = new AbortController()
  const body = readFileSync(new URL(file, folder), 'utf8')
  const answering = postChat(api, body, { signal: client.signal })
  await expect.poll(() => api.jobs.submitted.length).toBe(1)
  client.abort()
  const response = await answering.catch(() => null)
  expect(response === null || response.headers.get('content-type') === 'text/event-stream').toBe(true)

  const [submitted] = api.jobs.submitted
  if (submitted === undefined) throw new Error('nothing was submitted')
  expect(inputOfParts(submitted.job)).toEqual({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'What is this?' }, { type: 'image' }] },
    ],
  })
  expect(Buffer.from(submitted.image ?? [])).toEqual(png)
  const { response_format: format, ...parameters } = submitted.job.parameters
  expect(parameters).toEqual({ max_new_tokens: 50, temperature: 0.5 })
  const schema = expect.objectContaining({ type: 'object', required: ['shape', 'colour'] })
  const structured = { type: 'json_schema', json_schema: { name: 'figure', strict: true, schema } }
  expect(format).toEqual(name.endsWith('structured') ? structured : undefined)
})
