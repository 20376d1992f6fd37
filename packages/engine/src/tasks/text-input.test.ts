import { afterAll, expect, it } from 'vitest'

import { removeFolders, writeFolder } from '../../test/tiny-folder.ts'
import { tinyTokenizer, tinyWords } from '@vision-queue/models/test/tiny-model'
import type { Row } from '../onnx/collate.ts'
import { readModelFolder } from '@vision-queue/models'
import type { OutputTensor } from '../onnx/tensor.ts'
import type { Session } from '../onnx/session.ts'
import { openTextInput } from './text-input.ts'

afterAll(removeFolders)

type Files = Parameters<typeof writeFolder>[2]
const pad = tinyWords.indexOf('[PAD]')
const config = { model_max_length: 16, pad_token: '[PAD]' }

/** A graph with these inputs of two dimensions that gives the sum of the ids that `sees` lets through. */
function graph(
  names: string[],
  sees: (feeds: Record<string, number[]>) => number[] = ({ input_ids: ids = [] }) => ids,
) {
  const session: Session = {
    inputs: new Map(names.map((name) => [name, { type: 'int64', dims: [null, null] }])),
    outputs: new Map([['out', { type: 'float32', dims: [null, 1] }]]),
    provider: 'cpu',
    refusals: [],
    async run(feeds): Promise<Record<string, OutputTensor>> {
      const [rows = 0, length = 0] = feeds['input_ids']?.dims ?? []
      const sums = Array.from({ length: rows }, (_, row) => {
        const own = Object.entries(feeds).map(([name, { data }]) => {
          return [name, Array.from(data.slice(row * length, (row + 1) * length), Number)] as const
        })
        return sees(Object.fromEntries(own)).reduce((sum, id) => sum + id, 0)
      })
      return { out: { data: Float32Array.from(sums), dims: [rows, 1] } }
    },
    async close() {},
  }
  return session
}

async function open(session: Session, files: Files = {}, settings: Record<string, number> = {}) {
  const path = await writeFolder({ task: 'any', ...settings }, undefined, {
    'tokenizer.json': tinyTokenizer,
    'tokenizer_config.json': config,
    ...files,
  })
  const folder = await readModelFolder({ name: 'tiny', version: '1', folder: path })
  return openTextInput({ folder, session }, { output: 'out' })
}

const values = (row: Row | undefined): readonly number[] => (row?.type === 'int64' ? row.values : [])
const isExact = (row: Row | undefined): boolean => row?.type === 'int64' && row.exact === true
const masked = (feeds: Record<string, number[]>): number[] =>
  (feeds['input_ids'] ?? []).map((id, place) => id * (feeds['attention_mask']?.[place] ?? 1))

it('a text without a mask is never filled up, unless the folder gives the length of all texts', async () => {
  const rows = (await open(graph(['input_ids'])))('a b')
  expect(isExact(rows['input_ids'])).toBe(true)
  expect(values(rows['input_ids'])).toHaveLength(4)
  for (const [files, settings] of [
    [{}, { pad_texts_to: 6 }],
    [{ 'tokenizer.json': { ...tinyTokenizer, padding: { strategy: { Fixed: 6 }, direction: 'Right' } } }, {}],
    [{ 'config.json': { model_type: 'siglip', text_config: { max_position_embeddings: 6 } } }, {}],
  ] as const) {
    const fixed = (await open(graph(['input_ids']), files, settings))('a b')
    expect(values(fixed['input_ids'])).toEqual([1, 8, 9, 2, pad, pad])
    expect(isExact(fixed['input_ids'])).toBe(false)
    expect(values((await open(graph(['input_ids']), files, settings))('a b c d e')['input_ids'])).toEqual([
      1, 8, 9, 10, 11, 2,
    ])
  }
})

it('where the files say so, it is filled up and cut at its beginning', async () => {
  const files = { 'tokenizer_config.json': { ...config, padding_side: 'left', truncation_side: 'left' } }
  const toRows = await open(graph(['input_ids']), files, { pad_texts_to: 5 })
  expect(values(toRows('a')['input_ids'])).toEqual([pad, pad, 1, 8, 2])
  expect(values(toRows('a b c d')['input_ids'])).toEqual([1, 9, 10, 11, 2])
})

it('texts with a mask share runs only where a trial shows that the mask hides what fills them up', async () => {
  const inputs = ['input_ids', 'attention_mask']
  expect(isExact((await open(graph(inputs, masked)))('a')['input_ids'])).toBe(false)
  const seen = (await open(graph(inputs)))('a')
  expect([isExact(seen['input_ids']), isExact(seen['attention_mask'])]).toEqual([true, true])
})

it("a graph's other inputs of a text come with it", async () => {
  const inputs = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids']
  const rows = (await open(graph(inputs, masked), {}, { pad_texts_to: 5 }))('a')
  expect(Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, values(row)]))).toEqual({
    input_ids: [1, 8, 2, pad, pad],
    attention_mask: [1, 1, 1, 0, 0],
    token_type_ids: [0, 0, 0, 0, 0],
    position_ids: [0, 1, 2, 3, 4],
  })
})
