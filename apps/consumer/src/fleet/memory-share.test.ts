import { expect, it } from 'vitest'

import { memoryShare } from './memory-share.ts'

it('shares out four fifths of the memory there is, a container’s where it has less', () => {
  expect(memoryShare(2, { total: 1000, constrained: 0 })).toBe(400)
  expect(memoryShare(2, { total: 1000, constrained: 2 ** 60 })).toBe(400)
  expect(memoryShare(2, { total: 1000, constrained: 500 })).toBe(200)
})
