import type { GenerationEnd } from '../generation/chat-stepper.ts'
import type { TokenLogprob } from '../generation/token-logprobs.ts'
import type { TaskOutput } from '../task-output.ts'
import type { PlannedImage, ReadAnswer } from './chat-family.ts'
import type { PromptIds } from './prompt-text.ts'

/** What is known of a job before it is generated, as its answer tells it. */
export interface AnsweredChat {
  prompt: Pick<PromptIds, 'textTokens' | 'imageTokens'>
  images: readonly PlannedImage[]
  cachedImages: number
  endIds: ReadonlySet<number>
  /** What a token adds to a text; null: nothing, or it is a special one. */
  bytesOf: (id: number) => Uint8Array | null
  /** A special token's own text. */
  nameOf: (id: number) => string
  /** Of families whose answers name places. */
  read: ((text: string) => ReadAnswer) | null
}

/** The end of a generation as the job's answer. */
export function toAnswer(end: GenerationEnd, chat: AnsweredChat): TaskOutput {
  const { textTokens, imageTokens } = chat.prompt
  const read = chat.read?.(end.text) ?? null
  const answer: TaskOutput = {
    text: read?.text ?? end.text,
    tokens: end.ids.length,
    finish_reason: end.finishReason,
    usage: {
      prompt_tokens: textTokens + imageTokens,
      text_tokens: textTokens,
      image_tokens: imageTokens,
      completion_tokens: end.ids.length,
      cached_images: chat.cachedImages,
    },
    images: chat.images.map(({ plan: { original, used, pieces, downscaled }, tokens }) => ({
      width: original.width,
      height: original.height,
      used_width: used.width,
      used_height: used.height,
      tiles: pieces,
      tokens,
      downscaled,
    })),
  }
  if (read?.regions != null) answer['regions'] = read.regions
  if (end.logprobs !== null) answer['logprobs'] = toLogprobs(end.logprobs, chat)
  return answer
}

/** The end token is no part of the text, so that its probability isn't either. */
function toLogprobs(logprobs: readonly TokenLogprob[], { endIds, bytesOf, nameOf }: AnsweredChat) {
  const name = ({ token, logprob }: { token: number; logprob: number }) => {
    const bytes = bytesOf(token)
    return {
      token: bytes === null ? nameOf(token) : Buffer.from(bytes).toString('utf8'),
      logprob: Math.max(logprob, -9999),
      bytes: bytes === null ? null : [...bytes],
    }
  }
  return logprobs
    .filter(({ token }) => !endIds.has(token))
    .map((place) => Object.assign(name(place), { top_logprobs: place.alternatives.map(name) }))
}
