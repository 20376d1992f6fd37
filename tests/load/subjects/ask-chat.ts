import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import { z } from 'zod'

import type { ChatPlan, ChatQuestion } from './chat-plan.ts'

const chunkSchema = z.object({
  error: z.unknown().optional(),
  choices: z.array(z.object({ delta: z.object({ content: z.string().optional() }) })).default([]),
  usage: z.object({ completion_tokens: z.int() }).nullable().optional(),
})

/** An answer that came as a stream. */
export interface ChatAnswer {
  text: string
  tokens: number
  /** From the request until the first text of it was here, and until its end. */
  firstTextMs: number
  wholeMs: number
}

/** Asks one question after the other, each about an image that no cache has seen. */
export type AskChat = (question: ChatQuestion, signal: AbortSignal) => Promise<ChatAnswer>

export function createAskChat({ url, model }: Pick<ChatPlan, 'url' | 'model'>): AskChat {
  const files = new Map<string, Promise<Buffer>>()
  const read = async (file: string): Promise<Buffer> => {
    const reading = files.get(file) ?? readFile(file)
    files.set(file, reading)
    return reading
  }
  return async ({ file, type, prompt }, signal) => {
    // Decoders don't read what follows the end of an image.
    const image = Buffer.concat([await read(file), randomBytes(16)]).toString('base64')
    const content = [
      { type: 'image_url', image_url: { url: `data:${type};base64,${image}` } },
      { type: 'text', text: prompt },
    ]
    const body = JSON.stringify({
      model,
      messages: [{ role: 'user', content }],
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    })
    const askedAt = performance.now()
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body, signal })
    if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`)
    return readAnswer(response.body, askedAt)
  }
}

async function readAnswer(body: AsyncIterable<Uint8Array>, askedAt: number): Promise<ChatAnswer> {
  const answer = { text: '', tokens: 0, firstTextMs: Number.NaN }
  for await (const data of eventsOf(body)) {
    if (data === '[DONE]') continue
    const { choices, usage, error } = chunkSchema.parse(JSON.parse(data))
    if (error !== undefined) throw new Error(data)
    const text = choices.map(({ delta }) => delta.content ?? '').join('')
    if (text !== '' && answer.text === '') answer.firstTextMs = performance.now() - askedAt
    answer.text += text
    answer.tokens += usage?.completion_tokens ?? 0
  }
  if (answer.text === '' || answer.tokens === 0) throw new Error('a stream without an answer')
  return { ...answer, wholeMs: performance.now() - askedAt }
}

async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = events.pop() ?? ''
    for (const event of events) if (event.startsWith('data: ')) yield event.slice(6)
  }
}
