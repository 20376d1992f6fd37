import type { Context } from 'hono'

import type { ApiEnv } from '../api-env.ts'
import { refusal } from '../expectation.ts'
import { parseFormSubmission } from './form.ts'
import { parseJsonSubmission } from './json.ts'
import { parseMultipartForm } from './multipart.ts'
import type { ParsedSubmission, ReceivedSubmission, SubmissionLimits } from './parsed-submission.ts'
import { parseRawSubmission } from './raw.ts'
import { envelopeNames } from './text-fields.ts'
import { readTypedBody, type TypedBody, type TypedBodyOptions } from './typed-body.ts'
import { parseUrlencoded } from './urlencoded.ts'

export type ReadSubmissionOptions = SubmissionLimits & TypedBodyOptions

/** The submission in a request, whichever of the body types it uses. */
export async function readSubmission(c: Context<ApiEnv>, options: ReadSubmissionOptions): Promise<ReceivedSubmission> {
  const query = c.req.queries()
  if (Object.hasOwn(query, 'wait')) {
    throw refusal('invalid_request', [{ field: 'wait', expected: 'in a header, as Prefer: wait=30; not in the query' }])
  }
  const body = await readTypedBody(c, options)
  const submission = parseSubmission(c, body, { query, options })
  if (submission.inputFrom === 'query') return { ...submission, unreadQuery: [] }
  const misplaced = [...envelopeNames, 'image', 'input'].filter((name) => Object.hasOwn(query, name))
  if (misplaced.length > 0) throw refusal('invalid_request', misplaced.map(asMisplaced))
  return { ...submission, unreadQuery: Object.keys(query) }
}

/** What is wrong with a part of the submission that stands in the query beside a body that is no image. */
export function asMisplaced(field: string): { field: string; expected: string } {
  return { field, expected: 'in the body; only beside the bytes of an image is it in the query' }
}

function parseSubmission(
  c: Context<ApiEnv>,
  { kind, bytes }: TypedBody,
  { query, options }: { query: Record<string, string[]>; options: ReadSubmissionOptions },
): ParsedSubmission {
  switch (kind) {
    case 'raw':
      return parseRawSubmission(bytes, query, options)
    case 'multipart':
      return parseFormSubmission(parseMultipartForm(bytes, c.req.header('content-type') ?? ''), options)
    case 'urlencoded':
      return parseFormSubmission(parseUrlencoded(bytes), options)
    case 'json':
      return parseJsonSubmission(bytes, options)
    default:
      return kind satisfies never
  }
}
