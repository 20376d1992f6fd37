import { expect, test } from 'vitest'

import type { TextPiece } from '../text-piece.ts'
import { createGrowingText } from './growing-text.ts'

const piece = (index: number, text: string): TextPiece => ({ index, text })

test.each<[string, TextPiece[], TextPiece | null]>([
  ['nothing', [], null],
  ['pieces that follow each other', [piece(0, 'a red'), piece(5, ' circle')], piece(0, 'a red circle')],
  ['a piece that says nothing new', [piece(0, 'a red'), piece(0, 'a r')], piece(0, 'a red')],
  ['a text that begins anew and differs', [piece(0, 'a red'), piece(0, 'a'), piece(1, ' blue')], piece(0, 'a blue')],
  ['a piece without the one before it', [piece(0, 'a'), piece(5, 'lost')], piece(0, 'a')],
])('what is due of %s is one piece', (_, added, due) => {
  const text = createGrowingText()
  for (const one of added) text.add(one)
  expect([text.isDue, text.take(), text.isDue]).toEqual([due !== null, due, false])
})

test('what is due after a part was taken is told from where it differs, and once', () => {
  const text = createGrowingText()
  const told: (TextPiece | null)[] = []
  const after = (...added: TextPiece[]): void => {
    for (const one of added) text.add(one)
    told.push(text.take())
  }
  after(piece(0, 'a red circle'))
  after(piece(12, ' is'))
  // Its engine died; the next one says the same for a while.
  after(piece(0, 'a'), piece(1, ' red'))
  after(piece(5, ' circ'))
  after(piece(10, 'us'), piece(12, '!'))
  after(piece(13, '?'))
  expect(told).toEqual([piece(0, 'a red circle'), piece(12, ' is'), null, null, piece(10, 'us!'), piece(13, '?')])
  text.beginAnew()
  expect(text.take()).toEqual(piece(0, 'a red circus!?'))
})
