import { expect, test } from 'vitest'

import { growthPerMinute, holdingOf } from './processes.ts'

test('growth is the slope of the line through the samples, whatever they jitter', () => {
  const samples = [0, 1, 2, 3].map((minute) => ({ at: minute * 60_000, value: 100 + 5 * minute }))
  expect(growthPerMinute(samples)).toBeCloseTo(5)
  expect(growthPerMinute(samples.map(({ at }, index) => ({ at, value: index % 3 === 0 ? 7 : 9 })))).toBeCloseTo(0)
  expect(growthPerMinute([{ at: 1, value: 1 }])).toBe(0)
})

test.runIf(process.platform === 'linux')('a process has memory and descriptors', () => {
  const { rssBytes, descriptors } = holdingOf(process.pid)
  expect(rssBytes).toBeGreaterThan(1024 * 1024)
  expect(descriptors).toBeGreaterThan(2)
})
