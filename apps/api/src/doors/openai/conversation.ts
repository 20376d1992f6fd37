import { refusal } from '../../expectation.ts'
import type { SubmittedImage } from '../../intake/submission.ts'
import { imageOfText } from '../native/image-text.ts'
import type { SubmissionLimits } from '../native/question.ts'
import type { Message, MessagePart } from './request-schema.ts'

type ImageDetail = 'auto' | 'low' | 'high'

/** One turn, by the names of the task `image-text-to-text`. */
export interface Turn {
  role: 'system' | 'user' | 'assistant'
  content: string | ({ type: 'text'; text: string } | { type: 'image' })[]
}

/** The messages of a request, read: its turns, in which images are places, and the images that belong there, in order. */
export interface Conversation {
  turns: Turn[]
  images: SubmittedImage[]
  /** The images by the turn that brings them. */
  imagesOfTurn: SubmittedImage[][]
  /** In which detail the images are to be looked at; null where that is left to the model. */
  detail: ImageDetail | null
}

/** Throws as imageOfText, and `invalid_request` where the images of a request are to have different details. */
export function readConversation(messages: readonly Message[], limits: SubmissionLimits): Conversation {
  const imagesOfTurn = messages.map(({ content }, at) =>
    partsOf(content).flatMap((part, partAt) => {
      if (part.type !== 'image_url') return []
      const url = typeof part.image_url === 'string' ? part.image_url : part.image_url.url
      return [imageOfText(url, { field: `messages.${at}.content.${partAt}.image_url.url`, ...limits })]
    }),
  )
  return {
    turns: messages.map(turnOf),
    images: imagesOfTurn.flat(),
    imagesOfTurn,
    detail: detailOf(messages),
  }
}

/** The texts of a turn, one a line. */
export function textOf({ content }: Turn): string {
  if (typeof content === 'string') return content
  return content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
}

function partsOf(content: Message['content']): readonly MessagePart[] {
  return typeof content === 'string' ? [] : content
}

function turnOf({ role, content }: Message): Turn {
  return {
    role: role === 'developer' ? 'system' : role,
    content:
      typeof content === 'string' ? content : content.map((part) => (part.type === 'text' ? part : { type: 'image' })),
  }
}

/** A job has one detail for all of its images. */
function detailOf(messages: readonly Message[]): ImageDetail | null {
  const details = new Set(
    messages
      .flatMap(({ content }) => partsOf(content))
      .flatMap((part) => (part.type === 'image_url' ? [detailIn(part.image_url)] : [])),
  )
  if (details.size > 1) {
    throw refusal('invalid_request', [
      { field: 'messages', expected: `the same image_url.detail for all images; here are ${[...details].join(', ')}` },
    ])
  }
  const [detail = 'auto'] = details
  return detail === 'auto' ? null : detail
}

function detailIn(image: string | { detail?: ImageDetail | undefined }): ImageDetail {
  return typeof image === 'string' ? 'auto' : (image.detail ?? 'auto')
}
