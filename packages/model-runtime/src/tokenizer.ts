import { Tokenizer } from '@huggingface/tokenizers'
import { VisionQueueError } from '@vision-queue/jobs'

import type { TokenizerFiles } from './model-folder.ts'

/** Text to token ids, special tokens included. */
export interface TextTokenizer {
  /**
   * At most the model's maximum length of ids. Padding is the batch's business. Throws `invalid_input`
   * for a word that is unknown to a model without a token for such words.
   */
  encode: (text: string) => number[]
  /** The text's ids alone, without special tokens and whatever its length; throws as `encode` does. */
  encodePlain: (text: string) => number[]
  /** The text of ids, without special tokens and `dropped` ones. */
  decode: (ids: readonly number[], dropped: ReadonlySet<number>) => string
  /** What shorter texts of a batch are filled up with; its attention mask is 0 there. */
  padId: number
}

/**
 * The library's tokenizer with what it leaves out: truncation. A text that is too long loses its end,
 * never its closing special token (such as `[SEP]`), which the model was trained to find.
 * Throws `model_unavailable` where the files make no tokenizer.
 */
export function createTokenizer(files: TokenizerFiles): TextTokenizer {
  const tokenizer = openTokenizer(files)
  const padId = files.padToken === null ? 0 : tokenizer.token_to_id(files.padToken)
  if (padId === undefined) {
    throw new VisionQueueError(
      'model_unavailable',
      `tokenizer_config.json: pad_token: ${files.padToken} is not in tokenizer.json.`,
    )
  }
  const closing = tokenizer.encode('').ids.at(-1)
  const toIds = (text: string, specialTokens: boolean): number[] => {
    const ids: (number | undefined)[] = tokenizer.encode(text, { add_special_tokens: specialTokens }).ids
    if (!ids.every((id) => id !== undefined)) {
      throw new VisionQueueError('invalid_input', 'The text has a word that the model does not know.')
    }
    return ids
  }
  return {
    padId,
    encodePlain: (text) => toIds(text, false),
    decode(ids, dropped) {
      const kept = ids.filter((id) => !dropped.has(id))
      // The library refuses an empty list.
      return kept.length === 0 ? '' : tokenizer.decode(kept, { skip_special_tokens: true })
    },
    encode(text) {
      const ids = toIds(text, true)
      if (ids.length <= files.maxLength) return ids
      const last = ids.at(-1)
      return last === closing && last !== undefined
        ? [...ids.slice(0, files.maxLength - 1), last]
        : ids.slice(0, files.maxLength)
    },
  }
}

function openTokenizer({ tokenizer, config, unknownToken }: TokenizerFiles): Tokenizer {
  try {
    // For lists of words the library takes the unknown token from the config only, and without one
    // gives undefined as the id of a word that is not listed.
    return new Tokenizer(tokenizer, { ...config, unk_token: unknownToken })
  } catch (error) {
    throw new VisionQueueError('model_unavailable', 'tokenizer.json can not be used.', { cause: error })
  }
}
