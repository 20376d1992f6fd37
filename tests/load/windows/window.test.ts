import { describe, expect, test } from 'vitest'

import { type Look, othersShare, type Tally, windowOf } from './window.ts'

const tally: Tally = { jobs: 100, failures: 0, failure: null, p50Ms: 1, p99Ms: 2, beyondP50Ms: null }

function look(atMs: number, idleSeconds: number, cpu: Record<number, number>): Look {
  return { atMs, idleSeconds, cores: 2, cpu: new Map(Object.entries(cpu).map(([pid, used]) => [Number(pid), used])) }
}

describe('the share of other processes', () => {
  test('is what was neither idle nor used by the benchmark, of all cores', () => {
    // Two cores for a second: 0.6 s idle, 1.1 s ours, so 0.3 s of 2 s were taken by others.
    expect(othersShare(look(0, 10, { 1: 5, 2: 7 }), look(1000, 10.6, { 1: 5.5, 2: 7.6 }))).toBeCloseTo(0.15)
  })

  test('counts a process of ours that began meanwhile from its beginning, and leaves out one that ended', () => {
    expect(othersShare(look(0, 0, { 1: 5 }), look(1000, 1, { 2: 1 }))).toBe(0)
  })

  test('is never below nothing or above everything, though clocks are read one after the other', () => {
    expect(othersShare(look(0, 0, { 1: 0 }), look(1000, 1.5, { 1: 0.7 }))).toBe(0)
    expect(othersShare(look(0, 5, {}), look(1000, 4, {}))).toBe(1)
  })
})

test('a window tells jobs a second and CPU microseconds a job by part, several processes of a part together', () => {
  const parts = [
    { part: 'API', pid: 1 },
    { part: 'engines', pid: 2 },
    { part: 'engines', pid: 3 },
    { part: 'engines', pid: 4 },
  ]
  // Process 3 was started in the window, process 4 ended in it.
  const window = windowOf(look(0, 0, { 1: 1, 2: 1, 4: 9 }), look(2000, 3, { 1: 1.01, 2: 1.02, 3: 0.01 }), parts, tally)

  expect(window).toMatchObject({ seconds: 2, perSecond: 50, jobs: 100, p50Ms: 1 })
  expect(window.cpuUs['API']).toBeCloseTo(100)
  expect(window.cpuUs['engines']).toBeCloseTo(300)
})
