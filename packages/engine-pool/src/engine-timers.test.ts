import { afterEach, beforeEach, expect, it, vi } from 'vitest'

import { aJob, aPool } from '../test/records.ts'
import { createEngineTimers } from './engine-timers.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** An engine with a job, and the times at which its memory is looked at from outside. */
function watchedEngine(memoryLimitBytes: number) {
  const { settings, engines } = aPool({ memoryLimitBytes, runTimeoutMs: 1e6 })
  const [engine] = engines
  const looks: number[] = []
  const start = performance.now()
  engine.memoryKnownAt = start
  engine.handed.set('a', aJob('a'))
  const timers = createEngineTimers({
    engine,
    settings,
    onAlarm() {},
    onMemoryCheck: () => looks.push(Math.round(performance.now() - start)),
  })
  timers.set()
  return { engine, timers, looks }
}

it('looks at the memory of an engine whose run takes long, and again and again until that ends', () => {
  const { engine, timers, looks } = watchedEngine(1000)
  vi.advanceTimersByTime(1000)
  expect(looks).toEqual([500, 700, 900])
  engine.handed.clear()
  timers.set()
  vi.advanceTimersByTime(10_000)
  expect(looks).toEqual([500, 700, 900])
})

it('does not look while the engine says itself what it holds, and does once it stops saying so', () => {
  const { engine, timers, looks } = watchedEngine(1000)
  for (let batch = 0; batch < 100; batch += 1) {
    vi.advanceTimersByTime(100)
    engine.memoryKnownAt = performance.now()
    timers.set()
  }
  expect(looks).toEqual([])
  vi.advanceTimersByTime(800)
  expect(looks).toEqual([10_500, 10_700])
})

it('does not look where memory has no limit', () => {
  const { looks } = watchedEngine(0)
  vi.advanceTimersByTime(10_000)
  expect(looks).toEqual([])
})
