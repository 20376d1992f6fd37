import { expect, it } from 'vitest'

import { collate, type Row } from './collate.ts'

const numbers = (...values: number[]): Row => ({
  type: 'float32',
  dims: [1, values.length],
  write: (target, offset) => {
    target.set(values, offset)
  },
})
const ids = (...values: number[]): Row => ({ type: 'int64', values, padValue: 9 })

it('stacks rows and pads to the longest of the batch', () => {
  expect(
    collate(
      [
        { x: numbers(1, 2), ids: ids(1) },
        { x: numbers(3, 4), ids: ids(2, 3) },
      ],
      new Map(),
    ),
  ).toEqual({
    x: { type: 'float32', data: Float32Array.from([1, 2, 3, 4]), dims: [2, 1, 2] },
    ids: { type: 'int64', data: BigInt64Array.from([1n, 9n, 2n, 3n]), dims: [2, 2] },
  })
})

it('pads to the length that the graph fixes', () => {
  const fixed = new Map([['ids', { type: 'int64', dims: [null, 3] }]])
  expect(collate([{ ids: ids(1) }], fixed)).toMatchObject({ ids: { data: BigInt64Array.from([1n, 9n, 9n]) } })
})

it('refuses a batch whose items differ in their inputs', () => {
  expect(() => collate([{ x: numbers(1) }, { y: numbers(1) }], new Map())).toThrow('has no x')
  expect(() => collate([{ x: numbers(1) }, { x: ids(1) }], new Map())).toThrow('mixes types')
})
