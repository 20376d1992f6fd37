import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { everyTogether } from './every-together.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('what is begun at different times runs at the same moments, as often as was asked', async () => {
  const runs: [string, number][] = []
  const begin = (name: string): void => {
    everyTogether(5000, () => runs.push([name, performance.now()]))
  }
  begin('a')
  await vi.advanceTimersByTimeAsync(1234)
  begin('b')
  await vi.advanceTimersByTimeAsync(20_000)

  const momentsOf = (name: string): number[] => runs.flatMap(([its, at]) => (its === name ? [at] : []))
  expect(momentsOf('a')).toEqual(momentsOf('b'))
  expect(momentsOf('a').length).toBeGreaterThanOrEqual(4)
  expect(new Set(momentsOf('a').map((at) => at % 5000)).size).toBe(1)
})

test.each([0, 7000])('nothing runs after it was closed %i ms on', async (afterMs) => {
  let runs = 0
  const repetition = everyTogether(5000, () => {
    runs += 1
  })
  await vi.advanceTimersByTimeAsync(afterMs)
  const before = runs
  repetition.close()
  await vi.advanceTimersByTimeAsync(30_000)

  expect(runs).toBe(before)
})
