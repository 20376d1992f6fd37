import { readFile } from 'node:fs/promises'

import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import { createTokenizer } from './tokenizer.ts'

/**
 * Written by test/golden/make-tokenizers.py with Hugging Face's Rust library (the Python package tokenizers 0.23.2):
 * the ids that it gives texts of many scripts, with one kind of normalizer, pre-tokenizer, added token and
 * post-processor after another.
 */
const goldenSchema = z.object({
  texts: z.array(z.string()).min(20),
  models: z.record(z.string(), z.looseObject({ unk_token: z.string().nullish() })),
  cases: z
    .array(
      z.object({
        name: z.string(),
        model: z.string(),
        parts: z.record(z.string(), z.unknown()),
        ids: z.array(z.array(z.int())),
        typeIds: z.array(z.array(z.int())).nullable(),
      }),
    )
    .min(40),
})
const file = new URL('../../test/golden/tokenizers.json', import.meta.url)
const { texts, models, cases } = goldenSchema.parse(JSON.parse(await readFile(file, 'utf8')))

function open(model: string, parts: Record<string, unknown>) {
  const tokenizer = { decoder: null, ...parts, model: models[model] }
  return createTokenizer({
    tokenizer,
    config: {},
    unknownToken: models[model]?.unk_token ?? null,
    maxLength: Infinity,
    padToken: null,
    padding: { id: 0, typeId: 0, side: 'right' },
    truncationSide: 'right',
  })
}

it.each(cases)("$model, $name: the ids of Hugging Face's Rust library", ({ model, parts, ids, typeIds }) => {
  const { encode } = open(model, parts)
  const made = texts.map((text) => ({ text, ...encode(text) }))
  expect(made.map(({ text, ids: own }) => ({ text, ids: own }))).toEqual(
    texts.map((text, index) => ({ text, ids: ids[index] })),
  )
  const ownTypeIds = typeIds ?? ids.map((row) => row.map(() => 0))
  expect(made.map((one) => one.typeIds)).toEqual(ownTypeIds)
})

it('takes words of any script whole', () => {
  const { encode } = open('words', { normalizer: { type: 'Lowercase' }, pre_tokenizer: { type: 'Whitespace' } })
  const { vocab } = z.object({ vocab: z.record(z.string(), z.int()) }).parse(models['words'])
  for (const word of ['größe', 'été', 'какого', '这是什么颜色的形状', 'हिन्दी', 'สวัสดีครับ']) {
    expect(encode(word).ids).toEqual([vocab[word] ?? `${word} is no word of the list`])
  }
  expect(encode('Wie ist die Größe?').ids).toEqual(['wie', 'ist', 'die', 'größe', '?'].map((word) => vocab[word]))
})

describe('what is not known is refused by its name', () => {
  it.each([
    [{ pre_tokenizer: { type: 'UnicodeScripts' } }, 'pre_tokenizer.type: UnicodeScripts is not supported'],
    [
      { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Kana' }] } },
      'pre_tokenizer.pretokenizers.0.type: Kana is not supported',
    ],
    [{ normalizer: { type: 'Upside' } }, 'normalizer.type: Upside is not supported'],
    [{ post_processor: { type: 'Around' } }, 'post_processor.type: Around is not supported'],
    [{ pre_tokenizer: { type: 'Split', pattern: { Regex: '(?<=' }, behavior: 'Isolated' } }, 'pre_tokenizer.pattern'],
    [{ normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } }, 'the table has another form'],
    [
      {
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: 'x', type_id: 0 } }],
          special_tokens: {},
        },
      },
      'x is not among its special_tokens',
    ],
  ])('%j', (parts, sentence) => {
    expect(() => open('words', parts)).toThrow(sentence)
  })

  it('also what draws lots, and prefixes within words that the library leaves out', () => {
    const bytes = models['bytes']
    const files = { config: {}, unknownToken: null, maxLength: 9, padToken: null, truncationSide: 'right' } as const
    const withModel = (more: object) => () =>
      createTokenizer({
        ...files,
        padding: { id: 0, typeId: 0, side: 'right' },
        tokenizer: { model: { ...bytes, ...more } },
      })
    expect(withModel({ dropout: 0.1 })).toThrow('model.dropout: none: it draws lots')
    expect(withModel({ continuing_subword_prefix: '##' })).toThrow('model.continuing_subword_prefix: none for BPE')
    expect(withModel({})).not.toThrow()
  })
})
