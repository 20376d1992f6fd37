import type { Context } from 'hono'

import type { ApiEnv } from '../../api-env.ts'
import { refusal } from '../../expectation.ts'
import { parseFormSubmission } from './form.ts'
import { parseJsonSubmission } from './json.ts'
import { parseMultipartForm } from './multipart.ts'
import { namedModel } from './named-model.ts'
import type { ParsedSubmission, ReceivedSubmission, SubmissionLimits } from './parsed-submission.ts'
import { parseRawSubmission } from './raw.ts'
import { envelopeNames } from './text-fields.ts'
import { readTypedBody, type TypedBody, type TypedBodyOptions } from './typed-body.ts'
import { parseUrlencoded } from './urlencoded.ts'

export type ReadSubmissionOptions = SubmissionLimits &
  TypedBodyOptions & {
    /** Rejects if there is no such model. Asked about the model of a submission that is refused for something else. */
    assertModelIsKnown: (reference: string) => Promise<void>
  }

/** A request's body, with what its address and headers say of it. */
export interface SubmittedBody extends TypedBody {
  contentType: string
  query: Record<string, string[]>
}

/**
 * The submission in a request, whichever of the body types it uses. A model that isn't there goes before all other
 * faults, except those of a body that can't be parsed at all.
 */
export async function readSubmission(c: Context<ApiEnv>, options: ReadSubmissionOptions): Promise<ReceivedSubmission> {
  const typed = await readTypedBody(c, options)
  const body = { ...typed, contentType: c.req.header('content-type') ?? '', query: c.req.queries() }
  try {
    return receiveSubmission(body, options)
  } catch (error) {
    const model = namedModel(body)
    if (model !== null) await options.assertModelIsKnown(model)
    throw error
  }
}

function receiveSubmission(body: SubmittedBody, options: SubmissionLimits): ReceivedSubmission {
  const { query } = body
  if (Object.hasOwn(query, 'wait')) {
    throw refusal('invalid_request', [{ field: 'wait', expected: 'in a header, as Prefer: wait=30; not in the query' }])
  }
  const submission = parseSubmission(body, options)
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
  { kind, bytes, contentType, query }: SubmittedBody,
  options: SubmissionLimits,
): ParsedSubmission {
  switch (kind) {
    case 'raw':
      return parseRawSubmission(bytes, query, options)
    case 'multipart':
      return parseFormSubmission(parseMultipartForm(bytes, contentType), options)
    case 'urlencoded':
      return parseFormSubmission(parseUrlencoded(bytes), options)
    case 'json':
      return parseJsonSubmission(bytes, options)
    default:
      return kind satisfies never
  }
}
