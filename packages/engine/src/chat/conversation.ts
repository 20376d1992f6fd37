import { describeFields, VisionQueueError } from '@vision-queue/protocol'

/** A part of a turn: a text, or the place of the next image. */
export type TurnPart = { type: 'text'; text: string } | { type: 'image' }

/** One turn of a conversation. */
export interface Turn {
  role: 'system' | 'user' | 'assistant'
  parts: readonly TurnPart[]
}

/** What a job asks: a conversation, of which the job's images fill the places in their order. */
export interface Conversation {
  turns: readonly Turn[]
  /** The field that it came in, for what is said of it. */
  field: 'input.prompt' | 'input.messages'
}

/** The input of a job, as its schema has it. */
export interface ChatInput {
  prompt?: string | undefined
  messages?:
    | readonly {
        role: Turn['role']
        content: string | readonly ({ type: 'text'; text: string } | { type: 'image' })[]
      }[]
    | undefined
}

/**
 * The conversation of a job with so many images: `prompt` is one turn of the user's, with all images before the text.
 * Throws `invalid_input` where there are not exactly one of prompt and messages, or where the places of images are more
 * or fewer than the images.
 */
export function toConversation({ prompt, messages }: ChatInput, images: number): Conversation {
  if ((prompt === undefined) === (messages === undefined)) {
    const expected = `exactly one of prompt and messages (there are ${prompt === undefined ? 'none' : 'both'})`
    throw refuse('input', expected)
  }
  if (prompt !== undefined) {
    if (prompt === '' && images === 0) throw refuse('input.prompt', 'a text, or an image beside it')
    const places = Array.from({ length: images }, () => ({ type: 'image' }) as const)
    return { turns: [{ role: 'user', parts: [...places, { type: 'text', text: prompt }] }], field: 'input.prompt' }
  }
  const turns = (messages ?? []).map(({ role, content }): Turn => {
    return { role, parts: typeof content === 'string' ? [{ type: 'text', text: content }] : content }
  })
  const places = turns.flatMap(({ parts }) => parts).filter(({ type }) => type === 'image').length
  if (places !== images) {
    throw refuse('input.messages', `as many parts {"type": "image"} as images (there are ${places} for ${images})`)
  }
  return { turns, field: 'input.messages' }
}

/** The text of a turn without its images. */
export function textOf({ parts }: Turn): string {
  return parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('')
}

/** The refusal of one field of a job. */
export function refuse(field: string, expected: string): VisionQueueError {
  const fields = [{ field, expected }]
  return new VisionQueueError('invalid_input', describeFields(fields), { fields })
}
