import { z } from 'zod'

import { addedTokenSchema, openAddedTokens, type AddedToken } from './added-tokens.ts'
import type { VocabularyModel } from './library.ts'
import { normalizerSchema, openNormalizer } from './normalizer.ts'
import { openPreTokenizer, preTokenizerSchema } from './pre-tokenizer.ts'

const modelSchema = z.looseObject({
  type: z.string().optional(),
  vocab: z.custom<object>((vocab) => typeof vocab === 'object' && vocab !== null, 'words and their ids'),
  byte_fallback: z.boolean().nullish(),
  dropout: z.literal(0, 'none: it draws lots').nullish(),
  continuing_subword_prefix: z.string().nullish(),
})

/** What is read of tokenizer.json for turning text into ids. Parts that aren't known are refused by name. */
export const encoderSchema = z
  .looseObject({
    normalizer: normalizerSchema.nullish(),
    pre_tokenizer: preTokenizerSchema.nullish(),
    added_tokens: z.array(addedTokenSchema).default([]),
    model: modelSchema,
  })
  .refine(({ model }) => model.type !== 'BPE' || (model.continuing_subword_prefix ?? '') === '', {
    path: ['model', 'continuing_subword_prefix'],
    error: 'none for BPE',
  })
export type EncoderConfig = z.infer<typeof encoderSchema>

/** A token that the vocabulary lists too has the id it has there, whatever the list of added tokens says. */
export function withVocabularyIds(added: readonly AddedToken[], vocab: object): AddedToken[] {
  const pieces = Array.isArray(vocab)
    ? new Map(vocab.map((entry: unknown, id) => [Array.isArray(entry) ? String(entry[0]) : '', id]))
    : null
  // A vocabulary by name is its own map: to copy one of 150,000 words takes a tenth of a second.
  const idOf = (word: string): unknown =>
    pieces === null ? (Object.hasOwn(vocab, word) ? Reflect.get(vocab, word) : undefined) : pieces.get(word)
  return added.map((token) => {
    const id = idOf(token.content)
    return typeof id === 'number' ? { ...token, id } : token
  })
}

/**
 * A text to its ids without those around it; undefined for a word that the model doesn't know, where it has no id
 * for such. The way of Hugging Face's Rust library: added tokens that are looked for in the text as it is, then
 * normalising, then those that are looked for in what came of that, then pieces, and each piece to the
 * model by itself. `model` knows the vocabulary, WordPiece, BPE and Unigram.
 */
export function openEncoder(config: EncoderConfig, model: VocabularyModel): (text: string) => (number | undefined)[] {
  const normalize = config.normalizer == null ? (text: string) => text : openNormalizer(config.normalizer)
  const split = config.pre_tokenizer == null ? (part: string) => [part] : openPreTokenizer(config.pre_tokenizer)
  const isNormalized = ({ normalized, special }: (typeof config.added_tokens)[number]): boolean =>
    normalized ?? !special
  const findPlain = openAddedTokens(
    config.added_tokens.filter((token) => !isNormalized(token)),
    (text) => text,
  )
  const findNormalized = openAddedTokens(config.added_tokens.filter(isNormalized), normalize)
  const toBytes = config.model.type === 'Unigram' && config.model.byte_fallback === true

  /** The ids of what the model made of a piece. */
  const idsOf = (token: string): (number | undefined)[] => {
    const id = model.tokens_to_ids.get(token)
    if (id !== undefined) return [id]
    const bytes = toBytes ? byteIds(token, model) : null
    return bytes ?? [model.unk_token_id]
  }

  return (whole) =>
    findPlain(toWellFormed(whole), true).flatMap((part) => {
      if ('id' in part) return [part.id]
      const text = normalize(part.text)
      return findNormalized(text, part.atStart && !losesSpace(part.text, text)).flatMap((own) => {
        if ('id' in own) return [own.id]
        return split(own.text, own.atStart).flatMap((piece) => (piece === '' ? [] : model([piece]).flatMap(idsOf)))
      })
    })
}

/** Whether normalising took the space at the beginning away; what is left then begins further on. */
function losesSpace(before: string, after: string): boolean {
  return /^\p{White_Space}/u.test(before) && !/^[\p{White_Space}\u2581]/u.test(after)
}

/** Halves of a character, which a text of JavaScript may hold, have no UTF-8: they become U+FFFD. */
function toWellFormed(text: string): string {
  return text.replaceAll(/\p{Cs}/gu, '\uFFFD')
}

function byteIds(token: string, model: VocabularyModel): number[] | null {
  const ids = Array.from(new TextEncoder().encode(token), (byte) =>
    model.tokens_to_ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  )
  return ids.every((id) => id !== undefined) ? ids : null
}
