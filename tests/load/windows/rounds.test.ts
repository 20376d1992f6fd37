import { describe, expect, test } from 'vitest'

import {
  costOf,
  doubtOf,
  judge,
  lowerQuartile,
  needsMore,
  ratePerSecond,
  type Round,
  timeOf,
  windowsOf,
} from './rounds.ts'
import type { Window } from './window.ts'

function window(change: Partial<Window> = {}): Window {
  return {
    jobs: 100,
    failures: 0,
    failure: null,
    p50Ms: 1,
    p99Ms: 2,
    beyondP50Ms: null,
    seconds: 1,
    perSecond: 100,
    cpuUs: {},
    othersShare: 0,
    ...change,
  }
}

/** Rounds of two subjects, of which the second met such neighbours. */
function rounds(...othersShares: number[]): Round[] {
  return othersShares.map(
    (othersShare, index) =>
      new Map([
        ['a', window({ jobs: index })],
        ['b', window({ othersShare })],
      ]),
  )
}

describe('rounds', () => {
  test('are enough once so many were quiet as are wanted', () => {
    expect(needsMore(rounds(0, 0.15), 3)).toBe(true)
    expect(needsMore(rounds(0, 0.9, 0.15, 0.1), 3)).toBe(false)
  })

  test('are given up when more were loud than may be', () => {
    expect(needsMore(rounds(0.2, 0.3, 0.4), 3)).toBe(true)
    expect(needsMore(rounds(0.2, 0.3, 0.4, 0.16), 3)).toBe(false)
    // Never more than twice as many as are wanted.
    expect(needsMore(rounds(0, 0.2, 0, 0.3, 0.4, 0), 3)).toBe(false)
  })

  test('give a verdict from the quiet ones alone, if one window of a round was loud it is left out', () => {
    const judged = judge(rounds(0, 0.5, 0.15, 0), 3)
    expect(judged.doubt).toBeNull()
    expect(windowsOf(judged.rounds, 'a').map(({ jobs }) => jobs)).toEqual([0, 2, 3])
  })

  test('give figures without a verdict where neighbours were loud, and say how loud', () => {
    const judged = judge(rounds(0.4, 0, 0.2, 0.3, 0.1), 3)
    expect(judged.doubt).toBe('neighbours took 30 %')
    expect(judged.rounds).toHaveLength(5)
  })

  test('have no windows of what was not measured', () => {
    expect(() => windowsOf(rounds(0), 'c')).toThrow('c was not measured')
  })
})

test('a single measurement is in doubt where the middle of its shares is above 15 %', () => {
  expect(doubtOf([0, 0.15, 0.9])).toBeNull()
  expect(doubtOf([0, 0.2, 0.9])).toBe('neighbours took 20 %')
})

test('of eight values the lower quartile is the second smallest', () => {
  expect(lowerQuartile([8, 3, 5, 1, 7, 2, 6, 4])).toBe(2)
})

test('a cost is the lower quartile of whole windows, told with the parts of that window', () => {
  const costs = [
    { API: 50, Redis: 50, engines: 5, clients: 900 },
    { API: 10, Redis: 60, engines: 500, clients: 1 },
    { API: 60, Redis: 30, engines: 1, clients: 2 },
    { API: 70, Redis: 70, engines: 2, clients: 3 },
  ].map((cpuUs) => window({ cpuUs }))

  // The clients are no part of a cost, and the engines only where they are asked for.
  expect(costOf(costs, ['engines'])).toEqual({ us: 70, parts: { API: 10, Redis: 60, engines: 500, clients: 1 } })
  expect(costOf(costs).us).toBe(91)
})

test('jobs a second are those of the lower quartile of the time a job took', () => {
  expect(ratePerSecond([100, 400, 200, 50].map((jobs) => window({ jobs })))).toBe(400)
  expect(ratePerSecond([window({ jobs: 300, seconds: 1.5 })])).toBe(200)
})

test('a time is its lower quartile, and none where a window does not tell it', () => {
  expect(
    timeOf(
      [4, 2, 3, 1].map((p50Ms) => window({ p50Ms })),
      'p50Ms',
    ),
  ).toBe(1)
  expect(timeOf([window(), window({ p50Ms: null })], 'p50Ms')).toBeNull()
})
