import type { GenerationEnd } from '../generation/chat-stepper.ts'
import type { TokenLogprob } from '../generation/token-logprobs.ts'
import type { TaskOutput } from '../task-output.ts'
import type { WrittenToken } from '../text/token-bytes.ts'
import type { PlannedImage, ReadAnswer } from './chat-family.ts'
import type { PromptIds } from './prompt-text.ts'

/** What is known of a job before it is generated, as its answer tells it. */
export interface AnsweredChat {
  prompt: Pick<PromptIds, 'textTokens' | 'imageTokens'>
  images: readonly PlannedImage[]
  cachedImages: number
  endIds: ReadonlySet<number>
  /** By id; asked only where log probabilities are wanted. */
  written: () => readonly WrittenToken[]
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
function toLogprobs(logprobs: readonly TokenLogprob[], { endIds, written }: AnsweredChat) {
  const tokens = written()
  const name = ({ token, logprob }: { token: number; logprob: number }) => {
    const { bytes, name: text } = tokens[token] ?? { bytes: null, name: '' }
    return {
      token: bytes === null ? text : Buffer.from(bytes).toString('utf8'),
      logprob: Math.max(logprob, -9999),
      bytes: bytes === null ? null : [...bytes],
    }
  }
  return logprobs
    .filter(({ token }) => !endIds.has(token))
    .map((place) => ({ ...name(place), top_logprobs: place.alternatives.map(name) }))
}
