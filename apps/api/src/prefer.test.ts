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
  ['return=minimal', null],
])('Prefer: %s waits %s', (header, seconds) => {
  expect(preferredWaitSeconds(header)).toBe(seconds)
})
