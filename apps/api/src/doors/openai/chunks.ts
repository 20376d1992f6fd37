import { type FinalJob, type JobEvent, toVisionQueueError, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import type { Answer } from './answer.ts'
import {
  type Head,
  headOf,
  logprobsOf,
  logprobsSchema,
  regionsOf,
  regionsSchema,
  usageOf,
  usageSchema,
} from './completion.ts'
import { openAiError, type OpenAiError } from './error-response.ts'
import { merged } from './merged.ts'

/** A piece of a streamed answer. */
export const chunkSchema = z.object({
  id: z.string(),
  object: z.literal('chat.completion.chunk'),
  created: z.int(),
  model: z.string(),
  system_fingerprint: z.string().nullable(),
  choices: z
    .array(
      z.object({
        index: z.int(),
        delta: z.object({ role: z.literal('assistant').optional(), content: z.string().optional() }),
        logprobs: logprobsSchema.describe('all of the choice, with its finish_reason'),
        finish_reason: z.enum(['stop', 'length']).nullable(),
        regions: regionsSchema,
      }),
    )
    .describe('one; none in the chunk that tells the usage'),
  usage: usageSchema.nullable().optional().describe('with stream_options.include_usage: null but in the last chunk'),
})
export type Chunk = z.infer<typeof chunkSchema>

interface Options {
  head: Head
  /** The events of the job of each choice. */
  events: readonly AsyncIterable<JobEvent>[]
  /** Throws where the job has no answer. */
  readAnswer: (job: FinalJob) => Answer
  includeUsage: boolean
}

/**
 * The events of a request's jobs as chunks: for each choice its role first, then its text, then why it ended; then the
 * usage, if it is wanted. A job without an answer, or one whose text can't be taken back, ends them with an error.
 */
export async function* chunksOf(options: Options): AsyncGenerator<Chunk | OpenAiError, void, undefined> {
  const { head, events, includeUsage } = options
  let fingerprint = head.system_fingerprint
  const chunk = (choices: Chunk['choices'], usage: Chunk['usage'] = null): Chunk => ({
    ...head,
    system_fingerprint: fingerprint,
    object: 'chat.completion.chunk',
    choices,
    ...(includeUsage ? { usage } : {}),
  })
  const piece = (index: number, delta: Chunk['choices'][number]['delta']): Chunk =>
    chunk([{ index, delta, logprobs: null, finish_reason: null }])
  const texts = events.map(() => createSentText())
  const answers = new Map<number, Answer>()

  for (const index of events.keys()) yield piece(index, { role: 'assistant', content: '' })
  try {
    for await (const { index, item: event } of merged(events)) {
      const text = texts[index]
      if (text === undefined || event.kind === 'state') continue
      if (event.kind === 'delta') {
        const content = text.hear(event)
        if (content !== '') yield piece(index, { content })
        continue
      }
      const answer = options.readAnswer(event.job)
      const rest = text.finish(answer.text)
      fingerprint = headOf(event.job).system_fingerprint
      answers.set(index, answer)
      if (rest !== '') yield piece(index, { content: rest })
      const end = { logprobs: logprobsOf(answer), finish_reason: answer.finishReason, ...regionsOf(answer) }
      yield chunk([{ index, delta: {}, ...end }])
    }
    if (answers.size < events.length) throw brokenOff()
    const inOrder = [...answers].toSorted(([a], [b]) => a - b).map(([, answer]) => answer)
    if (includeUsage) yield chunk([], usageOf(inOrder))
  } catch (error) {
    yield openAiError(toVisionQueueError(error))
  }
}

/** The server closes, or has lost its queue. */
function brokenOff(): VisionQueueError {
  return new VisionQueueError('queue_unavailable', 'The answer was broken off. Ask again.')
}

/** What a client has of a text; no chunk takes anything back. */
interface SentText {
  /** The piece to send now that these words stand at `index`. */
  hear(piece: { text: string; index: number }): string
  /** What is missing of the whole text. */
  finish(text: string): string
}

/**
 * A job that begins anew tells its text from the start; nothing is sent then until it is longer than what was. Throws
 * where the new text is another one.
 */
function createSentText(): SentText {
  let whole = ''
  let sent = ''
  const advance = (): string => {
    if (sent.startsWith(whole)) return ''
    if (!whole.startsWith(sent)) {
      throw new VisionQueueError('queue_unavailable', 'The job began anew and its text is another one. Ask again.')
    }
    const more = whole.slice(sent.length)
    sent = whole
    return more
  }
  return {
    hear({ text, index }) {
      whole = whole.slice(0, index) + text
      return advance()
    },
    finish(text) {
      whole = text
      const more = advance()
      if (sent !== text) throw brokenOff()
      return more
    },
  }
}
