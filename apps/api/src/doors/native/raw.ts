import { refusal } from '../../expectation.ts'
import type { Question } from '../../intake/submission.ts'
import type { SubmissionLimits } from './question.ts'
import { parseTextFields } from './text-fields.ts'

/** The bytes of an image: the body is the image, everything else is in the query. */
export function parseRawSubmission(
  body: Uint8Array,
  query: Readonly<Record<string, string[]>>,
  limits: SubmissionLimits,
): Question {
  if (body.length === 0) throw refusal('invalid_request', [{ field: '', expected: 'the bytes of an image, not empty' }])
  for (const field of ['image', 'images']) {
    if (Object.hasOwn(query, field)) {
      throw refusal('invalid_request', [{ field, expected: 'not in the query: the body is the image' }])
    }
  }
  const question = parseTextFields(new Map(Object.entries(query)), limits)
  return { ...question, dropsUnknownInput: true, images: [{ kind: 'bytes', bytes: body }] }
}
