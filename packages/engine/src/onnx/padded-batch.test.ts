import { expect, it } from 'vitest'

import { padBatches, paddedSizes } from './padded-batch.ts'

it('runs only sizes that were warmed, and answers each item once, in order', async () => {
  const sizes: number[] = []
  const run = padBatches(async (items: readonly number[]) => {
    sizes.push(items.length)
    return items.map((item) => -item)
  }, paddedSizes(12))
  for (let count = 1; count <= 12; count += 1) {
    const items = Array.from({ length: count }, (_, index) => index + 1)
    expect(await run(items)).toEqual(items.map((item) => -item))
  }
  expect(sizes).toEqual([1, 2, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12])
})

it.each([
  [1, [1]],
  [8, [1, 2, 4, 8]],
  [9, [1, 2, 4, 8, 9]],
])('the sizes up to %i are the powers of two and itself', (most, sizes) => {
  expect(paddedSizes(most)).toEqual(sizes)
})
