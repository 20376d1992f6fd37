import type { Context } from 'hono'

import type { ApiEnv } from '../../api-env.ts'
import { refusal } from '../../expectation.ts'
import { asMisplaced } from '../../intake/known-input.ts'
import { envelopeNames, type Question } from '../../intake/submission.ts'
import { parseFormSubmission } from './form.ts'
import { parseJsonSubmission } from './json.ts'
import { parseMultipartForm } from './multipart.ts'
import { namedModel } from './named-model.ts'
import type { SubmissionLimits } from './question.ts'
import { parseRawSubmission } from './raw.ts'
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
 * The question in a request, whichever of the body types it uses. A model that isn't there goes before all other
 * faults, except those of a body that can't be parsed at all.
 */
export async function readSubmission(c: Context<ApiEnv>, options: ReadSubmissionOptions): Promise<Question> {
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

function receiveSubmission(body: SubmittedBody, options: SubmissionLimits): Question {
  const { kind, query } = body
  if (Object.hasOwn(query, 'wait')) {
    throw refusal('invalid_request', [{ field: 'wait', expected: 'in a header, as Prefer: wait=30; not in the query' }])
  }
  const question = parseSubmission(body, options)
  if (kind === 'raw') return question
  const misplaced = [...envelopeNames, 'image', 'images', 'input'].filter((name) => Object.hasOwn(query, name))
  if (misplaced.length > 0) throw refusal('invalid_request', misplaced.map(asMisplaced))
  return { ...question, strayNames: Object.keys(query) }
}

function parseSubmission({ kind, bytes, contentType, query }: SubmittedBody, options: SubmissionLimits): Question {
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
