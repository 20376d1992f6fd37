import { expect, test } from 'vitest'

import { type Box, type Found, meanAveragePrecision, overlapOf } from './average-precision.ts'

const box = (xmin: number, ymin: number, xmax: number, ymax: number): Box => ({ xmin, ymin, xmax, ymax })
const here = box(0, 0, 10, 10)
const there = box(50, 50, 60, 60)
const star = (at: Box, score: number): Found => ({ label: 'star', box: at, score })

test('the overlap of boxes is what both cover of what either covers', () => {
  expect(overlapOf(here, here)).toBe(1)
  expect(overlapOf(here, box(5, 0, 15, 10))).toBeCloseTo(50 / 150)
  expect(overlapOf(here, box(10, 0, 20, 10))).toBe(0)
})

const truth = [
  { label: 'star', box: here },
  { label: 'star', box: there },
]
// By hand: recall 1/2 at precision 1, recall 1 at precision 2/3, so 1/2 * 1 + 1/2 * 2/3.
test.each([
  ['all found', [star(here, 0.9), star(there, 0.8)], 1],
  [
    'a wrong find surer than the last right one',
    [star(here, 0.9), star(box(20, 20, 30, 30), 0.8), star(there, 0.7)],
    5 / 6,
  ],
  ['the same wrong find less sure than all', [star(here, 0.9), star(box(20, 20, 30, 30), 0.1), star(there, 0.7)], 1],
  ['one object found twice, the other not', [star(here, 0.9), star(here, 0.8)], 0.5],
  [
    'the second of two finds of one object before the other',
    [star(here, 0.9), star(here, 0.8), star(there, 0.7)],
    5 / 6,
  ],
  ['boxes that are too far off', [star(box(4, 0, 14, 10), 0.9), star(there, 0.8)], 0.25],
  ['nothing', [], 0],
])('average precision where there are two stars: %s', (_, found, expected) => {
  expect(meanAveragePrecision([{ found, truth }]).get('star')).toBeCloseTo(expected)
})

test('every label that is there counts the same in the mean, and finds of another picture are wrong', () => {
  const cross = { label: 'cross', box: here }
  const table = meanAveragePrecision([
    { found: [star(here, 0.9), star(there, 0.8)], truth },
    { found: [], truth: [cross] },
    { found: [{ ...cross, score: 1 }], truth: [] },
  ])
  expect(Object.fromEntries(table)).toEqual({ all: 0.5, star: 1, cross: 0 })
})
