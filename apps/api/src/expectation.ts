import { describeFields, type ErrorCode, type FieldError, fieldErrors, VisionQueueError } from '@vision-queue/protocol'
import type { z } from 'zod'

/**
 * Parses what a caller sent; a value that doesn't fit throws `code` and names each field and what
 * was expected there. `under` is the path at which the value sat in the request.
 */
export function parseRequest<S extends z.ZodType>(
  schema: S,
  value: unknown,
  { code = 'invalid_request', under = '' }: { code?: ErrorCode; under?: string } = {},
): z.infer<S> {
  const parsed = schema.safeParse(value, { error: expectation })
  if (parsed.success) return parsed.data
  throw refusal(code, fieldErrors(parsed.error, under))
}

/** Names of fields may be the caller's words: so much of them comes back. */
const maxFieldCharacters = 100

/** The error that names fields, its detail made of them. */
export function refusal(code: ErrorCode, fields: readonly FieldError[], cause?: unknown): VisionQueueError {
  const short = fields.map(({ field, expected }) => ({
    field: field.length <= maxFieldCharacters ? field : `${field.slice(0, maxFieldCharacters)}…`,
    expected,
  }))
  return new VisionQueueError(code, describeFields(short), { fields: short, cause })
}

/**
 * zod's issue as what should have been there ("a string (missing)"), where the schema has no words of its
 * own; zod's default messages speak of its types instead ("expected string, received undefined").
 */
export const expectation: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type': {
      const expected = typeNames[issue.expected] ?? issue.expected
      return issue.input === undefined ? `${expected} (missing)` : expected
    }
    case 'too_small':
      return bound(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum)
    case 'too_big':
      return bound(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum)
    case 'invalid_value':
      return `one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`
    case 'invalid_key':
      return `a shorter or simpler name: ${issue.issues[0]?.message ?? 'it does not fit'}`
    case 'invalid_format':
      return issue.format === 'regex'
        ? `text that matches ${String(issue.pattern)}`
        : `text of the form ${issue.format}`
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`
    case 'invalid_union':
    case 'invalid_element':
      return 'a value that fits the schema'
    // Field errors have their own words for these, or the schema has.
    case 'unrecognized_keys':
    case 'custom':
      return undefined
    default:
      return issue satisfies never
  }
}

const typeNames: Partial<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  record: 'an object',
  null: 'null',
}

function bound(origin: string, relation: string, limit: number | bigint): string {
  if (origin === 'string') return `${relation} ${limit} ${limit === 1 ? 'character' : 'characters'}`
  if (origin === 'array') return `${relation} ${limit} ${limit === 1 ? 'item' : 'items'}`
  return `a number of ${relation} ${limit}`
}
