import { refusal } from '../../expectation.ts'
import type { ParsedSubmission, SubmissionLimits } from './parsed-submission.ts'
import { parseTextFields } from './text-fields.ts'

/** The bytes of an image: the body is the image, everything else is in the query. */
export function parseRawSubmission(
  body: Uint8Array,
  query: Readonly<Record<string, string[]>>,
  limits: SubmissionLimits,
): ParsedSubmission {
  if (body.length === 0) throw refusal('invalid_request', [{ field: '', expected: 'the bytes of an image, not empty' }])
  if (Object.hasOwn(query, 'image')) {
    throw refusal('invalid_request', [{ field: 'image', expected: 'not in the query: the body is the image' }])
  }
  const fields = parseTextFields(new Map(Object.entries(query)), limits)
  return { ...fields, inputFrom: 'query', image: { kind: 'bytes', bytes: body } }
}
