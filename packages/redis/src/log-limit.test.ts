import { afterEach, expect, test, vi } from 'vitest'

import { createLogLimit } from './log-limit.ts'

afterEach(() => {
  vi.useRealTimers()
})

test('a reason is logged once in ten seconds, whichever script met it; another one at once', () => {
  vi.useFakeTimers()
  const limit = createLogLimit()
  const full = (script: string): Error => new Error(`MISCONF No space left on device script: ${script}`)

  expect(limit.admits(full('a'))).toBe(true)
  expect(limit.admits(full('b'))).toBe(false)
  expect(limit.admits(new Error('OOM command not allowed'))).toBe(true)
  vi.advanceTimersByTime(10_000)
  expect(limit.admits(full('a'))).toBe(true)
  expect([limit.clear(), limit.clear()]).toEqual([true, false])
  expect(limit.admits(full('a'))).toBe(true)
})
