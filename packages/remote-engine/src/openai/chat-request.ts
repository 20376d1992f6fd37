import {
  type ChatParameters,
  type Conversation,
  refuse,
  toConversation,
  type chatInputSchema,
} from '@vision-queue/engine/chat'
import { formatOf } from '@vision-queue/image-header'
import type { z } from 'zod'

/** A job as it was asked, checked. */
export interface AskedChat {
  input: z.infer<typeof chatInputSchema>
  images: readonly Uint8Array[]
  /** With the model's defaults. */
  parameters: ChatParameters
  /** Those that the job has itself. */
  given: ReadonlySet<string>
}

/** Parameters that are sent where the job has them, or the model's default is not what servers do without them. */
const neutral = {
  top_p: 1,
  top_k: 0,
  min_p: 0,
  repetition_penalty: 1,
  no_repeat_ngram_size: 0,
  presence_penalty: 0,
  frequency_penalty: 0,
} as const satisfies Partial<Record<keyof ChatParameters, number>>

/**
 * The body of a chat completion, by OpenAI's names; what OpenAI has no name for goes by the name that vLLM has. It is
 * always streamed: so a server that says nothing is told from one that thinks. Throws `invalid_input`.
 */
export function toChatRequest(model: string, { input, images, parameters, given }: AskedChat): Record<string, unknown> {
  const conversation = toConversation(input, images.length)
  const { logprobs, top_logprobs: top, stop, seed, max_pixels: maxPixels } = parameters
  if (!logprobs && top !== undefined) throw refuse('parameters.top_logprobs', 'none without logprobs: true')
  const own: Readonly<Record<string, unknown>> = parameters
  const wished = Object.entries(neutral).flatMap(([name, none]) =>
    given.has(name) || own[name] !== none ? [[name, own[name]] as const] : [],
  )
  return {
    model,
    messages: messagesOf(conversation, images, parameters.detail),
    max_tokens: parameters.max_new_tokens,
    temperature: parameters.temperature,
    ...Object.fromEntries(wished),
    ...(seed === undefined ? {} : { seed }),
    ...(stop.length === 0 ? {} : { stop }),
    ...(logprobs ? { logprobs: true, ...(top === undefined ? {} : { top_logprobs: top }) } : {}),
    ...(maxPixels === undefined ? {} : { max_pixels: maxPixels }),
    ...formatOfAnswer(parameters.response_format),
    stream: true,
    stream_options: { include_usage: true },
  }
}

function messagesOf({ turns }: Conversation, images: readonly Uint8Array[], detail: ChatParameters['detail']) {
  let next = 0
  return turns.map(({ role, parts }) => {
    const [only, ...more] = parts
    if (only?.type === 'text' && more.length === 0) return { role, content: only.text }
    const content = parts.map((part) => {
      if (part.type === 'text') return part
      const url = toDataUri(images[next] ?? new Uint8Array())
      next += 1
      return { type: 'image_url', image_url: detail === 'auto' ? { url } : { url, detail } }
    })
    return { role, content }
  })
}

function toDataUri(image: Uint8Array): string {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength)
  return `data:image/${formatOf(image) ?? 'png'};base64,${bytes.toString('base64')}`
}

/** One of some choices is asked for as a JSON Schema, which all servers know: the answer is then JSON, see readChoice. */
function formatOfAnswer(format: ChatParameters['response_format']): Record<string, unknown> {
  switch (format?.type) {
    case undefined:
    case 'text':
      return {}
    case 'json_object':
      return { response_format: { type: 'json_object' } }
    case 'json_schema': {
      const { name = 'answer', ...rest } = format.json_schema
      return { response_format: { type: 'json_schema', json_schema: { name, ...rest } } }
    }
    case 'choice': {
      const schema = { type: 'string', enum: format.choices }
      return { response_format: { type: 'json_schema', json_schema: { name: 'choice', strict: true, schema } } }
    }
    default:
      return format satisfies never
  }
}

/** The choice that a server's answer is, in JSON or as it is; null: it is none of them. */
export function readChoice(text: string, choices: readonly string[]): string | null {
  const plain = text.trim()
  if (choices.includes(plain)) return plain
  try {
    const read: unknown = JSON.parse(plain)
    return typeof read === 'string' && choices.includes(read) ? read : null
  } catch {
    return null
  }
}
