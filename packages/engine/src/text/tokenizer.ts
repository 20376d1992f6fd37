import { describeFields, fieldErrors, VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import type { TokenizerFiles } from '@vision-queue/models'
import { encoderSchema, openEncoder, withVocabularyIds } from './encoder.ts'
import { openLibrary } from './library.ts'
import { openPostProcessor, postProcessorSchema, type EncodedText } from './post-processor.ts'

const partsSchema = encoderSchema.and(z.looseObject({ post_processor: postProcessorSchema.nullish() }))

export type { EncodedText } from './post-processor.ts'

/** Text to token ids, special tokens included. */
export interface TextTokenizer {
  /**
   * At most the model's maximum length of ids. Padding is the batch's business. Throws `invalid_input`
   * for a word that is unknown to a model without a token for such words.
   */
  encode: (text: string) => EncodedText
  /** The text's ids alone, without special tokens and whatever its length; throws as `encode` does. */
  encodePlain: (text: string) => number[]
  /** The text of ids, without `dropped` ones and, unless they are to be kept, special tokens. */
  decode: (ids: readonly number[], dropped: ReadonlySet<number>, keepsSpecial?: boolean) => string
  /** What shorter texts of a batch are filled up with; its attention mask is 0 there. */
  padId: number
  padTypeId: number
  /** Where a text that must have a certain length is filled up. */
  padSide: 'left' | 'right'
}

/**
 * Text to ids as Hugging Face's Rust library does it, in any script (text/encoder.ts); vocabularies, and ids
 * to text, are the JavaScript library's. A text that is too long loses its end (or its beginning, where
 * the files say so), never the special tokens around it, such as `[SEP]`, which the model was trained to find.
 * Throws `model_unavailable` where the files make no tokenizer, or have a part that isn't known.
 */
export function createTokenizer(files: TokenizerFiles): TextTokenizer {
  const parsed = partsSchema.safeParse(files.tokenizer)
  if (!parsed.success) {
    throw new VisionQueueError('model_unavailable', `tokenizer.json: ${describeFields(fieldErrors(parsed.error))}`, {
      cause: parsed.error,
    })
  }
  const { tokenizer, toIds, surround } = openParts(files, parsed.data)
  const around = surround({ ids: [], typeIds: [] }).ids.length
  const padId = files.padToken === null ? files.padding.id : tokenizer.token_to_id(files.padToken)
  if (padId === undefined) {
    throw new VisionQueueError(
      'model_unavailable',
      `tokenizer_config.json: pad_token: ${files.padToken} is not in tokenizer.json.`,
    )
  }
  const encodePlain = (text: string): number[] => {
    const ids = toIds(text)
    if (!ids.every((id) => id !== undefined)) {
      throw new VisionQueueError('invalid_input', 'The text has a word that the model does not know.')
    }
    return ids
  }
  return {
    padId,
    padTypeId: files.padding.typeId,
    padSide: files.padding.side,
    encodePlain,
    decode(ids, dropped, keepsSpecial = false) {
      const kept = ids.filter((id) => !dropped.has(id))
      // The library refuses an empty list.
      return kept.length === 0 ? '' : tokenizer.decode(kept, { skip_special_tokens: !keepsSpecial })
    },
    encode(text) {
      const ids = encodePlain(text)
      const room = Math.max(0, files.maxLength - around)
      const over = Math.max(0, ids.length - room)
      const kept = files.truncationSide === 'left' ? ids.slice(over) : ids.slice(0, ids.length - over)
      const whole = surround({ ids: kept, typeIds: kept.map(() => 0) })
      return { ids: whole.ids.slice(0, files.maxLength), typeIds: whole.typeIds.slice(0, files.maxLength) }
    },
  }
}

function openParts(
  { tokenizer: file, config, unknownToken }: TokenizerFiles,
  parts: ReturnType<typeof partsSchema.parse>,
) {
  try {
    // The library gets the vocabulary and what makes text of ids. For lists of words it takes the unknown token
    // from the config only.
    const added = withVocabularyIds(parts.added_tokens, parts.model.vocab)
    const vocabulary = { ...file, added_tokens: added, normalizer: null, pre_tokenizer: null, post_processor: null }
    const tokenizer = openLibrary(vocabulary, { ...config, unk_token: unknownToken })
    const { model } = tokenizer
    if (model === null) throw new Error('it has no model')
    const surround =
      parts.post_processor == null ? (text: EncodedText) => text : openPostProcessor(parts.post_processor)
    return { tokenizer, toIds: openEncoder({ ...parts, added_tokens: added }, model), surround }
  } catch (error) {
    const why = error instanceof RangeError ? `: ${error.message}` : ''
    throw new VisionQueueError('model_unavailable', `tokenizer.json can not be used${why}.`, { cause: error })
  }
}
