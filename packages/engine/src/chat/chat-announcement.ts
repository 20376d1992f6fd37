import type { OwnAnnouncement } from '../tasks/task.ts'
import { chatInputSchema, mostImages } from './chat-schemas.ts'
import type { ChatModel } from './open-model.ts'

interface Limits extends Pick<ChatModel, 'family'> {
  /** Features of one piece of an image; null where it depends on the image. */
  pieceTokens: number | null
  /** Tokens of text and images that the model can read. */
  maxPositions: number
}

/**
 * What the API can refuse before a job is queued, and what clients are told of the limit in tokens: as many images as would
 * be too long with one piece each and without a word are refused there. How long a text is only its tokenizer knows.
 */
export function announceChat({
  family,
  pieceTokens,
  maxPositions,
}: Limits): Required<Pick<OwnAnnouncement, 'images' | 'input'>> {
  const { min, max } = family.images
  // A place for a word stays.
  const fitting = pieceTokens === null ? Infinity : Math.floor((maxPositions - 1) / pieceTokens)
  return {
    images: { min, max: Math.max(min, Math.min(mostImages, max, fitting)) },
    input: Number.isFinite(maxPositions)
      ? chatInputSchema.describe(`text and images are at most ${maxPositions} tokens together`)
      : chatInputSchema,
  }
}
