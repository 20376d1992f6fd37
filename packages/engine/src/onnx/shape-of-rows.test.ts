import { expect, it } from 'vitest'

import type { Row } from './collate.ts'
import { shapeOfRows } from './shape-of-rows.ts'

const pixels = (edge: number): Row => ({ type: 'float32', dims: [3, edge, edge], write() {} })
const text = (tokens: number): Row => ({ type: 'int64', values: Array.from({ length: tokens }, () => 1), padValue: 0 })
const open = new Map([['input_ids', { type: 'int64', dims: [null, null] }]])

it('short texts of any length are alike, long ones by the power of two above', () => {
  const shapes = [3, 64, 65, 128, 129].map((tokens) =>
    shapeOfRows({ pixel_values: pixels(224), input_ids: text(tokens) }, open),
  )
  expect(shapes).toEqual(['3x224x224', '3x224x224', '3x224x224 128', '3x224x224 128', '3x224x224 256'])
})

it('a length that the graph fixes tells nobody apart; pictures of other sizes do', () => {
  const fixed = new Map([['input_ids', { type: 'int64', dims: [null, 300] }]])
  expect(shapeOfRows({ input_ids: text(200) }, fixed)).toBe(shapeOfRows({ input_ids: text(3) }, fixed))
  expect(shapeOfRows({ pixel_values: pixels(8) }, open)).not.toBe(shapeOfRows({ pixel_values: pixels(9) }, open))
})
