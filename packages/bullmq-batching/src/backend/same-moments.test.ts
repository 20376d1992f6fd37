import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { blockUpTo, SameMoment } from './same-moments.ts'

const intervalMs = 1500

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** As BullMQ asks: a look, and the next one an interval later. */
function looksOf(count: number): number[] {
  const moment = new SameMoment(intervalMs)
  const looks: number[] = []
  const look = async (): Promise<void> => {
    await moment.come()
    looks.push(performance.now())
    if (looks.length < count) setTimeout(() => void look(), intervalMs)
  }
  void look()
  return looks
}

test('Workers that began at different times look at once, and from the second time on together', async () => {
  const first = looksOf(5)
  await vi.advanceTimersByTimeAsync(611)
  const second = looksOf(5)
  await vi.advanceTimersByTimeAsync(371)
  const third = looksOf(5)
  await vi.advanceTimersByTimeAsync(20 * intervalMs)

  expect([first, second, third].map((looks) => looks.length)).toEqual([5, 5, 5])
  expect((second[0] ?? 0) - (first[0] ?? 0)).toBe(611)
  expect((third[0] ?? 0) - (second[0] ?? 0)).toBe(371)
  const phases = new Set([first, second, third].flatMap((looks) => looks.slice(1).map((at) => at % intervalMs)))
  expect(phases.size).toBe(1)
})

test('no look is later than twice the interval after the one before', async () => {
  const looks = looksOf(6)
  await vi.advanceTimersByTimeAsync(20 * intervalMs)

  const pauses = looks.slice(1).map((at, index) => at - (looks[index] ?? 0))
  expect(Math.max(...pauses)).toBeLessThanOrEqual(2 * intervalMs)
  expect(pauses.slice(1)).toEqual([intervalMs, intervalMs, intervalMs, intervalMs])
})

test('reads that begin at different times end together, and none is longer than was asked', async () => {
  const ends: number[] = []
  for (const [afterMs, leftS] of [
    [0, 5],
    [1234, 3.766],
    [3000, 0.766],
  ] as const) {
    await vi.advanceTimersByTimeAsync(afterMs)
    expect(blockUpTo(5)).toBeCloseTo(leftS, 2)
    ends.push(performance.now() / 1000 + blockUpTo(5))
  }
  expect(new Set(ends.map((end) => end.toFixed(2))).size).toBe(1)
})

test('a read that ended a little early blocks for the whole time again', async () => {
  await vi.advanceTimersByTimeAsync(4990)
  expect(blockUpTo(5)).toBe(5)
})
