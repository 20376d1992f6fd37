import { expect, it } from 'vitest'

import { assembleRows, toBlock, type RowBlock } from './row-block.ts'

/** Rows of [heads 1, length, size 2] that say where they come from. */
function block(name: string, rows: number, length = 1): RowBlock {
  const code = name.charCodeAt(0)
  const data = Float32Array.from(
    { length: rows * length * 2 },
    (_, index) => code * 100 + Math.floor(index / (length * 2)),
  )
  return toBlock(rows, [['key', { data, dims: [rows, 1, length, 2] }]])
}

it('a batch that nobody left, joined or reordered is the very same block', () => {
  const a = block('a', 3)
  expect(
    assembleRows([
      { block: a, rows: [0] },
      { block: a, rows: [1, 2] },
    ]),
  ).toBe(a)
})

it('takes the rows of several blocks in the order in which they are wanted, some twice', () => {
  const [a, b] = [block('a', 2, 3), block('b', 3, 3)]
  const { rows, tensors } = assembleRows([
    { block: b, rows: [2, 2] },
    { block: a, rows: [1] },
    { block: b, rows: [0] },
  ])
  expect(rows).toBe(4)
  expect(tensors.get('key')?.dims).toEqual([4, 1, 3, 2])
  const firsts = [...(tensors.get('key')?.data ?? [])].filter((_, index) => index % 6 === 0)
  expect(firsts).toEqual([9802, 9802, 9701, 9800])
})

it('a part of a block, and all of it in another order, are copied', () => {
  const a = block('a', 2)
  expect(assembleRows([{ block: a, rows: [1] }]).tensors.get('key')?.data).toEqual(Float32Array.of(9701, 9701))
  const swapped = assembleRows([{ block: a, rows: [1, 0] }])
  expect(swapped.tensors.get('key')?.data).toEqual(Float32Array.of(9701, 9701, 9700, 9700))
  expect(a.tensors.get('key')?.data).toEqual(Float32Array.of(9700, 9700, 9701, 9701))
})

it('rows of different lengths, which no tensor could hold, are refused', () => {
  const parts = [
    { block: block('a', 1, 2), rows: [0] },
    { block: block('b', 1, 3), rows: [0] },
  ]
  expect(() => assembleRows(parts)).toThrow('key of different shapes')
  expect(() => assembleRows([])).toThrow('no rows')
  expect(() => toBlock(2, [['key', { data: new Float32Array(3), dims: [3, 1] }]])).toThrow('3 rows instead of 2')
})
