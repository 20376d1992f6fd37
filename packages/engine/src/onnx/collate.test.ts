import { expect, it } from 'vitest'

import { collate, groupByExactLengths, type Row } from './collate.ts'

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

it('feeds numbers in the type that the graph takes', () => {
  const inputs = new Map([
    ['ids', { type: 'int32', dims: [null, null] }],
    ['mask', { type: 'bool', dims: [null, null] }],
    ['pixels', { type: 'float16', dims: [null, null, null] }],
  ])
  const pixels: Row = { type: 'numbers', dims: [1, 2], values: [1, 0] }
  const rows = { ids: ids(1), mask: ids(1), pixels }
  expect(collate([rows, rows], inputs)).toEqual({
    ids: { type: 'int32', data: Int32Array.from([1, 1]), dims: [2, 1] },
    mask: { type: 'bool', data: Uint8Array.from([1, 1]), dims: [2, 1] },
    pixels: { type: 'float16', data: Uint16Array.from([0x3c00, 0, 0x3c00, 0]), dims: [2, 1, 2] },
  })
  expect(() => collate([{ ids: ids(1) }], new Map([['ids', { type: 'string', dims: [] }]]))).toThrow(
    "string can't be fed",
  )
})

it('never stacks images of different sizes, and tells them apart', () => {
  expect(() => collate([{ x: numbers(1) }, { x: numbers(1, 2) }], new Map())).toThrow('mixes types or sizes')
  const items = [numbers(1), numbers(1, 2), numbers(3)].map((x) => ({ x }))
  const groups = groupByExactLengths(items, (item) => item)
  expect(groups.map((group) => group.map(({ index }) => index))).toEqual([[0, 2], [1]])
})

it('refuses a batch whose items differ in their inputs', () => {
  expect(() => collate([{ x: numbers(1) }, { y: numbers(1) }], new Map())).toThrow('has no x')
  expect(() => collate([{ x: numbers(1) }, { x: ids(1) }], new Map())).toThrow('mixes types')
})
