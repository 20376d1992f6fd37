import { expect, test } from 'vitest'

import { preferredWaitSeconds } from './prefer.ts'

test.each<[string | undefined, number | null]>([
  [undefined, null],
  ['', null],
  ['wait', 60],
  ['wait=1', 1],
  ['wait=60', 60],
  ['wait=61', 60],
  ['wait=0', null],
  ['wait="5"', 5],
  ['Wait = 5', 5],
  ['respond-async, wait=10', 10],
  ['wait=10; foo=bar', 10],
  ['wait=-1', null],
  ['wait=1.5', null],
  ['wait=soon', null],
  ['waiting=5', null],
  ['wait=5=6', null],
  ['wait = "5" ; foo', 5],
  ['return=minimal', null],
])('Prefer: %s waits %s', (header, seconds) => {
  expect(preferredWaitSeconds(header)).toBe(seconds)
})

test('a header of spaces takes no time that grows with their square', () => {
  const took = (spaces: number): number => {
    const startedAt = performance.now()
    for (let turn = 0; turn < 20; turn += 1) preferredWaitSeconds(`wait${' '.repeat(spaces)}x`)
    return performance.now() - startedAt
  }
  took(15_000)
  // Sixteen times the spaces: twenty turns of 15,000 took twenty seconds where it was the square.
  expect(took(15_000)).toBeLessThan(64 * took(940) + 50)
})
