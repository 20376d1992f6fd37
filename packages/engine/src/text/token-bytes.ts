import { z } from 'zod'

import type { TokenizerFiles } from '@vision-queue/models'
import { addedTokenSchema } from './added-tokens.ts'

/** A token as it stands within a text. */
export interface WrittenToken {
  /** What it adds to a text; half a character, of some tokens. Null: nothing, or a special token. */
  bytes: Uint8Array | null
  /** Its name in the vocabulary, or its text where it is an added token. */
  name: string
}

const decoderSchema: z.ZodType<{
  type: string
  prefix?: string | undefined
  decoders?: { type: string }[] | undefined
}> = z.looseObject({
  type: z.string(),
  prefix: z.string().optional(),
  decoders: z.array(z.looseObject({ type: z.string() })).optional(),
})
const fileSchema = z.looseObject({
  model: z.looseObject({
    type: z.string().optional(),
    vocab: z.union([z.record(z.string(), z.int()), z.array(z.tuple([z.string(), z.number()]))]),
  }),
  decoder: decoderSchema.nullish(),
  added_tokens: z.array(addedTokenSchema).default([]),
})

/** By id what each token of a vocabulary writes. Ids that no file names write nothing. */
export function writtenTokens({ tokenizer }: Pick<TokenizerFiles, 'tokenizer'>): WrittenToken[] {
  const { model, decoder, added_tokens: added } = fileSchema.parse(tokenizer)
  const entries = Array.isArray(model.vocab)
    ? model.vocab.map(([name], id): [string, number] => [name, id])
    : Object.entries(model.vocab)
  const toBytes = writerOf(decoder ?? null, model.type ?? '')
  const tokens: WrittenToken[] = []
  for (const [name, id] of entries) tokens[id] = { name, bytes: toBytes(name) }
  for (const { id, content, special } of added) {
    tokens[id] = { name: content, bytes: special ? null : new TextEncoder().encode(content) }
  }
  return Array.from(tokens, (token) => token ?? { name: '', bytes: null })
}

type ToBytes = (name: string) => Uint8Array

function writerOf(decoder: z.infer<typeof decoderSchema> | null, model: string): ToBytes {
  const kinds = decoder === null ? [] : [decoder.type, ...(decoder.decoders ?? []).map(({ type }) => type)]
  const encoder = new TextEncoder()
  if (kinds.includes('ByteLevel')) return (name) => bytesOfLevel(name)
  if (decoder?.type === 'WordPiece') {
    const prefix = decoder.prefix ?? '##'
    return (name) => encoder.encode(name.startsWith(prefix) ? name.slice(prefix.length) : ` ${name}`)
  }
  const joinsWords = decoder === null && (model === 'WordLevel' || model === 'WordPiece')
  if (joinsWords) return (name) => encoder.encode(` ${name}`)
  return (name) => {
    const [, byte] = /^<0x([0-9A-Fa-f]{2})>$/.exec(name) ?? []
    return byte === undefined
      ? encoder.encode(name.replaceAll('\u2581', ' '))
      : Uint8Array.of(Number.parseInt(byte, 16))
  }
}

/** The characters that GPT-2's vocabularies write bytes as: those that can be seen as themselves, the rest from U+0100 on. */
const byteOfCharacter = ((): ReadonlyMap<string, number> => {
  const isShown = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)
  let hidden = 0
  return new Map(
    Array.from({ length: 256 }, (_, byte): [string, number] => {
      if (isShown(byte)) return [String.fromCodePoint(byte), byte]
      hidden += 1
      return [String.fromCodePoint(0xff + hidden), byte]
    }),
  )
})()

function bytesOfLevel(name: string): Uint8Array {
  const bytes = Array.from(name, (character) => byteOfCharacter.get(character))
  // A token that is no bytes, such as one that was added to the vocabulary by hand, is its own text.
  return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : new TextEncoder().encode(name)
}
