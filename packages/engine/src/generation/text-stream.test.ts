import { describe, expect, it } from 'vitest'

import { createTextStream, cutAtStop, type TextPiece } from './text-stream.ts'

/** What is told of a text that grows like this. */
function told(grown: string[], heldBack: string[] = []): TextPiece[] {
  const stream = createTextStream(heldBack)
  const pieces = grown.slice(0, -1).map((text) => stream.push(text))
  return [...pieces, stream.finish(grown.at(-1) ?? '')].filter((piece) => piece !== null)
}

const whole = (pieces: TextPiece[]): string => pieces.map(({ text }) => text).join('')

describe('a text stream', () => {
  it('tells whole words, and the rest at the end', () => {
    const pieces = told(['a', 'a re', 'a red', 'a red cir', 'a red circle', 'a red circle.'])
    expect(pieces).toEqual([
      { text: 'a', index: 0 },
      { text: ' red', index: 1 },
      { text: ' circle.', index: 5 },
    ])
  })

  it('never tells half a character', () => {
    const pieces = told(['ein h\uFFFD', 'ein h\uFFFD\uFFFD', 'ein hübsch', 'ein hübsches Bild'])
    expect(pieces.map(({ text }) => text)).toEqual(['ein', ' hübsches Bild'])
    expect(whole(told(['一', '一\uFFFD', '一只', '一只猫']))).toBe('一只猫')
    expect(told(['一', '一\uFFFD', '一只', '一只猫']).map(({ text }) => text)).toEqual(['一', '只', '猫'])
  })

  it('tells nothing that the decoder takes back: the final answer does', () => {
    expect(told(['one two three', 'once more'])).toEqual([{ text: 'one two', index: 0 }])
  })

  it('holds back what may become a stop string', () => {
    const pieces = told(['a red ', 'a red cat ', 'a red cat sat ', 'a red cat sits'], ['cat sat on'])
    expect(pieces.map(({ text }) => text)).toEqual(['a red', ' cat sits'])
  })
})

it('a text is cut before the first of its stop strings', () => {
  expect(cutAtStop('one two three', ['three', 'two'])).toBe('one ')
  expect(cutAtStop('one two three', ['four'])).toBeNull()
})
