import { expect, it } from 'vitest'

import { fromHalf, fromHalves, toHalf } from './half-float.ts'

it('every half float survives the way to a number and back', () => {
  const halves = Array.from({ length: 0x10000 }, (_, half) => half)
  const changed = halves.filter((half) => toHalf(fromHalf(half)) !== half)
  // There are many ways to write that something is no number, and one is enough.
  expect(changed.filter((half) => !Number.isNaN(fromHalf(half)))).toEqual([])
  expect(changed.every((half) => Number.isNaN(fromHalf(toHalf(fromHalf(half)))))).toBe(true)
})

it.each([
  [1, 0x3c00],
  [-2, 0xc000],
  [65504, 0x7bff],
  [65520, 0x7c00],
  [1e9, 0x7c00],
  [-Infinity, 0xfc00],
  [2 ** -14, 0x0400],
  [2 ** -24, 0x0001],
  [2 ** -25, 0x0000],
  [2 ** -25 * 1.01, 0x0001],
  [1023.5 * 2 ** -24, 0x0400],
  [1 + 1 / 2048, 0x3c00],
  [1 + 3 / 2048, 0x3c02],
  [-0, 0x8000],
])('%d is written as the nearest half float, ties to even, subnormals too', (value, half) => {
  expect(toHalf(value)).toBe(half)
})

it('reads an array of them', () => {
  expect([...fromHalves(Uint16Array.of(0x3800, 0x8001, 0x7c00))]).toEqual([0.5, -(2 ** -24), Infinity])
})
