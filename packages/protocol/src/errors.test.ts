import { expect, test } from 'vitest'
import { z } from 'zod'

import { describeFields, fieldErrors } from './errors.ts'

const errorsOf = (schema: z.ZodType, value: unknown): ReturnType<typeof fieldErrors> => {
  const { error } = schema.safeParse(value)
  return error === undefined ? [] : fieldErrors(error)
}

test('a caller gets back little of long or many field names', () => {
  const long = { ['k'.repeat(1_000_000)]: 1 }
  const many = Object.fromEntries(Array.from({ length: 16_000 }, (_, index) => [`${'k'.repeat(500)}${index}`, 1]))
  for (const schema of [z.strictObject({}), z.record(z.string(), z.string())]) {
    for (const value of [long, many]) {
      const fields = errorsOf(schema, value)
      expect(fields.length).toBeGreaterThan(0)
      expect(describeFields(fields).length).toBeLessThan(5000)
    }
  }
})

test('field names of common length and number come back whole', () => {
  const fields = errorsOf(z.strictObject({ a: z.object({ b: z.string('a text') }) }), { a: { b: 1 }, c: 2, d: 3 })
  expect(describeFields(fields)).toBe('a.b: a text; c: no field of this name; d: no field of this name.')
})
