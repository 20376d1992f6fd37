import { expect, test } from 'vitest'

import { requestIdFrom } from './request-context.ts'

test.each(['a', 'req-1.2_3', 'A'.repeat(64)])('%s is kept', (id) => {
  expect(requestIdFrom(id)).toBe(id)
})

test.each([undefined, '', 'a b', 'A'.repeat(65), '"><script>', 'a\u00e9'])('%s is replaced by a new one', (id) => {
  expect(requestIdFrom(id)).toMatch(/^req_[A-Za-z0-9_-]{21}$/)
  expect(requestIdFrom(id)).not.toBe(requestIdFrom(id))
})
