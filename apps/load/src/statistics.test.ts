import { expect, test } from 'vitest'

import { median, percentile, slope } from './statistics.ts'

test('a percentile is a value that was measured: the nearest rank, in whatever order they came', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)

  expect([0.5, 0.95, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 95, 99, 100])
  expect(percentile([7], 0.5)).toBe(7)
  expect(percentile([1, 2, 3], 0.99)).toBe(3)
  expect(percentile([], 0.5)).toBeNaN()
})

test('a median of an even count lies between the middle two', () => {
  expect(median([9, 1, 5])).toBe(5)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([])).toBeNaN()
})

test('a slope is that of the straight line, and none where there is nothing to tell it by', () => {
  expect(slope([0, 1, 2, 3].map((x) => ({ x, y: 5 + 2 * x })))).toBeCloseTo(2)
  expect(slope([{ x: 1, y: 3 }])).toBe(0)
})
