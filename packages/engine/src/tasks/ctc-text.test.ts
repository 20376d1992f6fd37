import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, describe, expect, it } from 'vitest'

import { fixedOutputs } from '../../test/fixed-outputs.ts'
import { colour, load, removeFolders, runBatch, writeFolder } from '../../test/tiny-folder.ts'

afterAll(removeFolders)

const base = { task: 'image-to-text', preprocessing: { do_rescale: true, do_normalize: false } }

/** Logits of 9 for each step's character, else 0. */
function steps(columns: number, likeliest: number[]) {
  const rows = likeliest.map((best) => Array.from({ length: columns }, (_, column) => (column === best ? 9 : 0)))
  return { dims: [likeliest.length, columns], values: rows.flat() }
}

describe('a text recogniser of one graph', () => {
  it.each([
    ['repetitions are one character, unless a blank stands between', [1, 1, 0, 1, 2, 2, 0, 0, 3], 'aab ', {}],
    ['blanks only', [0, 0], '', {}],
    ['the blank comes last', [0, 0, 4, 1, 2, 3], 'ab\u3000 ', { ctc_blank: 'last' }],
  ])('%s', async (_, likeliest, text, extras) => {
    const characters = 'ctc_blank' in extras ? 'abc.txt' : ['a', 'b']
    const columns = 'ctc_blank' in extras ? 5 : 4
    const folder = await writeFolder(
      { ...base, ...extras, characters },
      { 'model.onnx': fixedOutputs({ logits: steps(columns, likeliest) }) },
    )
    // A line of nothing but a space counts, and so does one of a comma.
    await writeFile(join(folder, 'abc.txt'), 'a\r\nb\n\u3000\n')
    const [answer] = await runBatch(await load(folder), [{ image: 'red' }])
    expect(answer).toEqual({ text, tokens: text.length, score: expect.closeTo(text === '' ? 0 : 1, 2) })
  })

  it('takes scores that add up to 1 for probabilities', async () => {
    const values = [0.1, 0.6, 0.3]
    const folder = await writeFolder(
      { ...base, characters: ['a', 'b'] },
      { 'model.onnx': fixedOutputs({ softmax_0: { dims: [1, 3], values } }) },
    )
    expect(await runBatch(await load(folder), [{ image: 'red' }])).toEqual([
      { text: 'a', tokens: 1, score: expect.closeTo(0.6, 5) },
    ])
  })

  it('refuses what steers generating, by name', async () => {
    const folder = await writeFolder(
      { ...base, characters: ['a', 'b'] },
      { 'model.onnx': fixedOutputs({ logits: steps(3, [1]) }) },
    )
    const request = { images: [await colour('red')], input: { prompt: 'a' }, parameters: { num_beams: 2 } }
    await expect((await load(folder)).prepare(request)).rejects.toMatchObject({
      code: 'invalid_input',
      detail: expect.stringMatching(/input\.prompt.*parameters\.num_beams/),
    })
  })

  it.each([
    [{}, '`characters` in model.json'],
    [{ characters: ['a'] }, 'as many characters as logits has scores (5)'],
    [{ characters: 'none.txt' }, 'none.txt is missing; model.json names it as characters'],
  ])('says what %j lacks', async (extras, complaint) => {
    const folder = await writeFolder({ ...base, ...extras }, { 'model.onnx': fixedOutputs({ logits: steps(5, [1]) }) })
    await expect(load(folder)).rejects.toMatchObject({ detail: expect.stringContaining(complaint) })
  })
})
