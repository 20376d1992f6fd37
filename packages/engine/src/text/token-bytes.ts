import type { TokenizerFiles } from '@vision-queue/models'
import { z } from 'zod'

import { createPauses } from '../pauses.ts'
import { addedTokenSchema } from './added-tokens.ts'
import { withVocabularyIds } from './encoder.ts'

const partsSchema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).default([]),
  decoder: z
    .looseObject({ type: z.string(), decoders: z.array(z.looseObject({ type: z.string() })).optional() })
    .nullish(),
  // Its 150,000 entries are looked at one by one, with pauses.
  model: z.looseObject({ vocab: z.union([z.array(z.unknown()), z.custom<object>((one) => typeof one === 'object')]) }),
})

const idSchema = z.int()
const pieceSchema = z.tuple([z.string()], z.unknown())

/** Decoders that put tokens side by side as they are, with a space for `▁` and a byte for such as `<0x0A>`. */
const plain = new Set(['Replace', 'ByteFallback', 'Fuse', 'Strip', 'Metaspace'])

/**
 * By id the bytes that a token adds to a text which goes on; null for special tokens and for ids without a token. Of
 * tokenizers that write bytes as letters (byte-level BPE) and of SentencePiece's kind they are read from the token; of
 * others (lists of words, WordPiece) found by what `decode` makes of the token behind another one. That takes hundreds of
 * milliseconds of a large vocabulary, so that it gives way to others meanwhile.
 */
export async function readTokenBytes(
  { tokenizer: file }: TokenizerFiles,
  decode: (ids: readonly number[]) => string,
): Promise<(Uint8Array | null)[]> {
  const { decoder, model, added_tokens } = partsSchema.parse(file)
  const kinds = decoder == null ? [] : [decoder.type, ...(decoder.decoders ?? []).map(({ type }) => type)]
  const pauses = createPauses()
  const toBytes = openReader(
    kinds.filter((type) => type !== 'Sequence'),
    model.vocab,
    decode,
  )
  const bytes: (Uint8Array | null)[] = []
  for (const [token, id] of entriesOf(model.vocab)) {
    if (pauses.isDue()) await pauses.take()
    bytes[id] = toBytes(token, id)
  }
  for (const { id, content, special } of withVocabularyIds(added_tokens, model.vocab)) {
    bytes[id] = special ? null : Buffer.from(content)
  }
  return Array.from(bytes, (one) => one ?? null)
}

/** Tokens and their ids, of a vocabulary by name or of a list of pieces with their scores. */
function* entriesOf(vocabulary: object): Generator<readonly [string, number]> {
  if (Array.isArray(vocabulary)) {
    for (const [id, piece] of vocabulary.entries()) yield [pieceSchema.parse(piece)[0], id]
    return
  }
  // Not Object.entries, which makes 150,000 pairs in one go.
  for (const token of Object.keys(vocabulary)) yield [token, idSchema.parse(Reflect.get(vocabulary, token))]
}

function openReader(
  kinds: readonly string[],
  vocabulary: object,
  decode: (ids: readonly number[]) => string,
): (token: string, id: number) => Uint8Array | null {
  if (kinds.includes('ByteLevel')) {
    const byteOf = letterBytes()
    return (token) => {
      const bytes = Array.from(token, (letter) => byteOf.get(letter))
      return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : null
    }
  }
  if (kinds.length > 0 && kinds.every((kind) => plain.has(kind))) {
    return (token) => {
      const [, byte] = /^<0x([0-9A-Fa-f]{2})>$/.exec(token) ?? []
      return byte === undefined ? Buffer.from(token.replaceAll('▁', ' ')) : Uint8Array.of(Number.parseInt(byte, 16))
    }
  }
  const before = firstWord(vocabulary)
  const beginning = decode([before])
  return (_, id) => {
    const both = decode([before, id])
    return both.startsWith(beginning) ? Buffer.from(both.slice(beginning.length)) : null
  }
}

function firstWord(vocabulary: object): number {
  for (const [token, id] of entriesOf(vocabulary)) if (/^[a-z]+$/.test(token)) return id
  return 0
}

/** GPT-2's letters for bytes: printable ones stand for themselves, the others for those from U+0100 on. */
function letterBytes(): Map<string, number> {
  const own = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)
  let next = 0x100
  return new Map(
    Array.from({ length: 256 }, (_, byte) => {
      if (own(byte)) return [String.fromCodePoint(byte), byte] as const
      next += 1
      return [String.fromCodePoint(next - 1), byte] as const
    }),
  )
}
