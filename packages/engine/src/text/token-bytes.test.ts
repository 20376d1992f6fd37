import { readFile } from 'node:fs/promises'

import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import { readTokenBytes } from './token-bytes.ts'
import { createTokenizer } from './tokenizer.ts'

/** Real vocabularies; see golden-tokens.test.ts. */
const goldenSchema = z.object({
  texts: z.array(z.string()),
  models: z.record(z.string(), z.looseObject({ unk_token: z.string().nullish() })),
  cases: z.array(z.object({ name: z.string(), parts: z.record(z.string(), z.unknown()) })),
})
const file = new URL('../../test/golden/tokenizers.json', import.meta.url)
const { texts, models, cases } = goldenSchema.parse(JSON.parse(await readFile(file, 'utf8')))

async function open(model: string, name: string, decoder: object | null) {
  const parts = cases.find((one) => one.name === name)?.parts ?? {}
  const tokenizer = { ...parts, decoder, model: models[model] }
  const unknownToken = models[model]?.unk_token ?? null
  const padding = { id: 0, typeId: 0, side: 'right' } as const
  const files = {
    tokenizer,
    config: { clean_up_tokenization_spaces: false },
    unknownToken,
    maxLength: Infinity,
    padToken: null,
    padding,
    truncationSide: 'right',
  } as const
  const { encodePlain, decode } = createTokenizer(files)
  const written = await readTokenBytes(files, (ids) => decode(ids, new Set()))
  return {
    ids: encodePlain,
    decode: (ids: number[]) => decode(ids, new Set()),
    write: (ids: number[]) => Buffer.concat(ids.map((id) => written[id] ?? new Uint8Array())).toString('utf8'),
    files,
  }
}

describe('what tokens write, one after the other,', () => {
  it('is the text itself in vocabularies of bytes, half characters among them', async () => {
    const { ids, write } = await open('bytes', 'gpt2', { type: 'ByteLevel' })
    for (const text of texts.filter((one) => !/\p{Cs}/u.test(one))) expect(write(ids(text))).toBe(text)
  })
  it('is the text behind a space where words begin with one', async () => {
    const decoders = [
      { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
    ]
    const { ids, write } = await open('fallback', 'llama', { type: 'Sequence', decoders })
    for (const text of ['What is in the image?', 'größe 这是 🙂']) expect(write(ids(text))).toBe(` ${text}`)
  })
  it.each([
    ['words', 'whitespace', null],
    ['wordpiece', 'bert', { type: 'WordPiece', prefix: '##', cleanup: false }],
  ])('is what ids decode to, behind a space: %s', async (model, name, decoder) => {
    const { ids, write, decode } = await open(model, name, decoder)
    const known = texts.map(ids).filter((row) => row.length > 2)
    expect(known.length).toBeGreaterThan(10)
    for (const row of known) {
      const plain = row.filter((id) => id > 3)
      expect(write(plain).trim()).toBe(decode(plain).trim())
    }
  })
  it('is nothing where a token is a special one, and its own text where it was added', async () => {
    const { files } = await open('bytes', 'gpt2', { type: 'ByteLevel' })
    const added = [
      { id: 420, content: '<|end|>', special: true },
      { id: 421, content: 'größe<', special: false },
    ]
    const tokenizer = { decoder: { type: 'ByteLevel' }, model: models['bytes'], added_tokens: added }
    const written = await readTokenBytes({ ...files, tokenizer }, () => '')
    expect(written[420]).toBeNull()
    expect(Buffer.from(written[421] ?? []).toString()).toBe('größe<')
  })
  it('is read in pieces of a large vocabulary, so that the event loop turns meanwhile', async () => {
    const vocab = Object.fromEntries(Array.from({ length: 150_000 }, (_, id) => [id.toString(36), id]))
    const { files } = await open('bytes', 'gpt2', { type: 'ByteLevel' })
    let turns = 0
    let isDone = false
    const turn = (): void => {
      turns += 1
      if (!isDone) setImmediate(turn)
    }
    setImmediate(turn)
    const tokenizer = { decoder: { type: 'ByteLevel' }, model: { vocab }, added_tokens: [] }
    const written = await readTokenBytes({ ...files, tokenizer }, () => '')
    isDone = true
    expect(turns).toBeGreaterThan(5)
    expect(Buffer.from(written[140_000] ?? []).toString()).toBe((140_000).toString(36))
  })
})
