import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { tinyWords, writeTinyModel } from '@vision-queue/models/test/tiny-model'
import { readModelFolder, type TokenizerFiles } from '@vision-queue/models'
import { createTokenizer } from './tokenizer.ts'

let folder = ''
let files: TokenizerFiles
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenizer-'))
  await writeTinyModel(folder)
  const { tokenizer } = await readModelFolder({ name: 'tiny', version: '1', folder })
  if (tokenizer === null) throw new Error('the tiny model has a tokenizer')
  files = tokenizer
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

const words = (ids: number[]): string[] => ids.map((id) => tinyWords[id] ?? '')

it('encodes with the special tokens, unknown words as such', () => {
  expect(words(createTokenizer(files).encode('What is LARGE, it?').ids)).toEqual([
    '[CLS]',
    'what',
    'is',
    'large',
    '[UNK]',
    'it',
    '?',
    '[SEP]',
  ])
})

it('cuts a long text before its closing token, and leaves one that just fits', () => {
  const { encode } = createTokenizer({ ...files, maxLength: 5 })
  expect(words(encode('a b c').ids)).toEqual(['[CLS]', 'a', 'b', 'c', '[SEP]'])
  expect(words(encode('a b c d').ids)).toEqual(['[CLS]', 'a', 'b', 'c', '[SEP]'])
})

it('cuts at the end where the model has no closing token', () => {
  const { encode } = createTokenizer({
    ...files,
    tokenizer: { ...files.tokenizer, post_processor: null },
    maxLength: 2,
  })
  expect(words(encode('a b c d').ids)).toEqual(['a', 'b'])
})

it('knows the padding token, and refuses one that it does not have', () => {
  expect(createTokenizer(files).padId).toBe(tinyWords.indexOf('[PAD]'))
  expect(createTokenizer({ ...files, padToken: '[SEP]' }).padId).toBe(2)
  expect(() => createTokenizer({ ...files, padToken: '<pad>' })).toThrow('pad_token: <pad> is not in tokenizer.json')
})

it('refuses a word that is unknown to a model without a token for such', () => {
  const { encode } = createTokenizer({ ...files, unknownToken: null })
  expect(words(encode('a b').ids)).toEqual(['[CLS]', 'a', 'b', '[SEP]'])
  expect(() => encode('a zebra')).toThrow('a word that the model does not know')
})

it('refuses files that make no tokenizer', () => {
  expect(() => createTokenizer({ ...files, tokenizer: { model: { vocab: 'none' } } })).toThrow(
    'tokenizer.json: model.vocab: words and their ids',
  )
})
