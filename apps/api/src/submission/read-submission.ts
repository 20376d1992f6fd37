import type { Context } from 'hono'

import type { ApiEnv } from '../api-env.ts'
import { parseJsonSubmission } from './json.ts'
import { parseMultipartSubmission } from './multipart.ts'
import { namedModel } from './named-model.ts'
import type { ParsedSubmission, SubmissionLimits } from './parsed-submission.ts'
import { parseRawSubmission } from './raw.ts'
import { readTypedBody, type TypedBody, type TypedBodyOptions } from './typed-body.ts'

export type ReadSubmissionOptions = SubmissionLimits &
  Omit<TypedBodyOptions, 'rawQuery'> & {
    /** Rejects if there is no such model. Asked about the model of a submission that is refused for something else. */
    assertModelIsKnown: (reference: string) => Promise<void>
  }

/**
 * The submission in a request, whichever of the body types it uses. A model that isn't there goes before all other
 * faults, except those of a body that can't be parsed at all.
 */
export async function readSubmission(c: Context<ApiEnv>, options: ReadSubmissionOptions): Promise<ParsedSubmission> {
  const body = await readTypedBody(c, { ...options, rawQuery: true })
  const contentType = c.req.header('content-type') ?? ''
  try {
    return parseSubmission(body, contentType, options)
  } catch (error) {
    const model = namedModel(body, contentType)
    if (model !== null) await options.assertModelIsKnown(model)
    throw error
  }
}

function parseSubmission(
  { kind, bytes, query }: TypedBody,
  contentType: string,
  options: SubmissionLimits,
): ParsedSubmission {
  switch (kind) {
    case 'raw':
      return parseRawSubmission(bytes, query, options)
    case 'multipart':
      return parseMultipartSubmission(bytes, contentType, options)
    case 'json':
      return parseJsonSubmission(bytes, options)
    default:
      return kind satisfies never
  }
}
