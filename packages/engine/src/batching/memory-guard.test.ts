import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { createMemoryGuard } from './memory-guard.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function setUp(limitBytes: number) {
  let residentBytes = 100
  const guard = createMemoryGuard({ limitBytes, maxBatchSize: 32, readResidentBytes: () => residentBytes })
  const lookAt = (bytes: number): number => {
    residentBytes = bytes
    vi.advanceTimersByTime(300)
    guard.look()
    return guard.batchLimit
  }
  return { guard, lookAt }
}

describe('memory', () => {
  it('halves batches near the limit and doubles them far from it, and in between leaves them', () => {
    const { lookAt } = setUp(1000)
    expect([800, 850, 900, 999, 2000, 2000, 2000, 750, 400, 400].map(lookAt)).toEqual([32, 16, 8, 4, 2, 1, 1, 1, 2, 4])
  })

  it('bounds nothing without a limit, and tells what is resident', () => {
    const { guard, lookAt } = setUp(0)
    expect(lookAt(1e12)).toBe(32)
    expect(guard.residentBytes).toBe(1e12)
  })

  it('is read at most four times a second', () => {
    const read = vi.fn<() => number>(() => 100)
    const guard = createMemoryGuard({ limitBytes: 1000, maxBatchSize: 8, readResidentBytes: read })
    read.mockClear()
    for (let batch = 0; batch < 1000; batch += 1) {
      vi.advanceTimersByTime(1)
      guard.look()
    }
    expect(read.mock.calls.length).toBeLessThanOrEqual(5)
  })
})
