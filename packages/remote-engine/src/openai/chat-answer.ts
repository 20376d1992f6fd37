import { chatOutputSchema } from '@vision-queue/engine/chat'
import type { TaskOutput, TextPiece } from '@vision-queue/engine/messages'
import { VisionQueueError } from '@vision-queue/protocol'
import { createParser } from 'eventsource-parser'
import { z } from 'zod'

import type { HttpAnswer } from '../http-server.ts'
import { failureInStream } from '../server-failure.ts'

const tokenSchema = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z
    .array(z.int())
    .nullish()
    .transform((bytes) => bytes ?? null),
})
const logprobsSchema = z.object({
  content: z
    .array(
      tokenSchema.extend({
        top_logprobs: z
          .array(tokenSchema)
          .nullish()
          .transform((top) => top ?? []),
      }),
    )
    .nullish(),
})
const usageSchema = z.object({
  prompt_tokens: z.int().catch(0),
  completion_tokens: z.int().optional().catch(undefined),
  prompt_tokens_details: z
    .object({ text_tokens: z.int().optional(), image_tokens: z.int().optional() })
    .nullish()
    .catch(null),
})
/** A chunk of a stream, or a whole completion, of which `message` has the text. */
const chunkSchema = z.object({
  error: z.json().nullish(),
  choices: z
    .array(
      z.object({
        index: z.int().default(0),
        delta: z.object({ content: z.string().nullish() }).nullish(),
        message: z.object({ content: z.string().nullish() }).nullish(),
        finish_reason: z.string().nullish(),
        logprobs: logprobsSchema.nullish(),
      }),
    )
    .default([]),
  usage: usageSchema.nullish(),
})
type Chunk = z.infer<typeof chunkSchema>

/** What a job of a remote model gets: how a server looks at images is not known here. */
export const remoteChatOutputSchema = chatOutputSchema.omit({ images: true, regions: true }).extend({
  usage: z.object({
    prompt_tokens: z.int().describe('of text and images; 0 where the server does not say'),
    text_tokens: z.int().optional().describe('where the server says'),
    image_tokens: z.int().optional().describe('where the server says'),
    completion_tokens: z.int(),
  }),
})
/** The same as the output of a job. */
export type RemoteChatOutput = TaskOutput & { text: string }

export interface ReadOptions {
  /** Told each piece of the text as it comes. */
  onText: ((piece: TextPiece) => void) | undefined
  secrets: readonly string[]
}

/**
 * Reads a completion, streamed or, of a server that doesn't stream, whole. Throws where it is broken off, where it says
 * that it failed, or where it ends for a reason that is no answer.
 */
export async function readChatAnswer(answer: HttpAnswer, options: ReadOptions): Promise<RemoteChatOutput> {
  const growing = createGrowingAnswer(options)
  const type = String(answer.headers['content-type'] ?? '')
  if (type.startsWith('text/event-stream')) await readEvents(answer, growing.add)
  else growing.add(await answer.text())
  return growing.finish()
}

/** Up to `[DONE]`, or the end where a server sends none. */
async function readEvents(answer: HttpAnswer, add: (data: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let done = false
  const parser = createParser({
    onEvent({ data }) {
      if (data.trim() === '[DONE]') done = true
      else if (!done) add(data)
    },
  })
  for await (const piece of answer.pieces()) {
    parser.feed(decoder.decode(piece, { stream: true }))
    if (done) return
  }
}

interface GrowingAnswer {
  /** A chunk, or a whole completion. */
  add: (data: string) => void
  finish: () => RemoteChatOutput
}

function createGrowingAnswer({ onText, secrets }: ReadOptions): GrowingAnswer {
  let text = ''
  let pieces = 0
  let reason: string | null = null
  let usage: Chunk['usage'] = null
  let logprobs: NonNullable<z.infer<typeof logprobsSchema>['content']> | null = null

  return {
    add(data) {
      const chunk = parseChunk(data, secrets)
      usage = chunk.usage ?? usage
      const choice = chunk.choices.find(({ index }) => index === 0)
      if (choice === undefined) return
      const content = choice.delta?.content ?? choice.message?.content ?? ''
      if (content !== '') {
        onText?.({ text: content, index: text.length })
        text += content
        pieces += 1
      }
      if (choice.logprobs?.content != null) {
        logprobs = [...(logprobs ?? []), ...choice.logprobs.content]
      }
      reason = choice.finish_reason ?? reason
    },
    finish() {
      if (reason === null) throw new Error('the answer ended without a finish_reason')
      if (reason !== 'stop' && reason !== 'length') {
        throw new VisionQueueError(
          'inference_failed',
          `The server of this model ended the answer by ${reason.slice(0, 40)}.`,
        )
      }
      const { prompt_tokens: prompt = 0, prompt_tokens_details: details } = usage ?? {}
      // A piece is a token of most servers.
      const tokens = usage?.completion_tokens ?? pieces
      const told = Object.entries(details ?? {}).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value]],
      )
      return {
        text,
        tokens,
        finish_reason: reason,
        usage: { prompt_tokens: prompt, completion_tokens: tokens, ...Object.fromEntries(told) },
        ...(logprobs === null ? {} : { logprobs }),
      }
    },
  }
}

function parseChunk(data: string, secrets: readonly string[]): Chunk {
  let json: unknown
  try {
    json = JSON.parse(data)
  } catch (error) {
    throw new Error('a part of the answer is no JSON', { cause: error })
  }
  const chunk = chunkSchema.safeParse(json)
  if (!chunk.success) throw new Error('a part of the answer is no chunk of a completion', { cause: chunk.error })
  if (chunk.data.error != null) throw failureInStream(data, secrets)
  return chunk.data
}
