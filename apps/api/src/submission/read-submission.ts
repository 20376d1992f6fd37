import type { Context } from 'hono'

import type { ApiEnv } from '../api-env.ts'
import { parseJsonSubmission } from './json.ts'
import { parseMultipartSubmission } from './multipart.ts'
import type { ParsedSubmission, SubmissionLimits } from './parsed-submission.ts'
import { parseRawSubmission } from './raw.ts'
import { readTypedBody, type TypedBodyOptions } from './typed-body.ts'

export type ReadSubmissionOptions = SubmissionLimits & Omit<TypedBodyOptions, 'rawQuery'>

/** The submission in a request, whichever of the body types it uses. */
export async function readSubmission(c: Context<ApiEnv>, options: ReadSubmissionOptions): Promise<ParsedSubmission> {
  const { kind, bytes, query } = await readTypedBody(c, { ...options, rawQuery: true })
  switch (kind) {
    case 'raw':
      return parseRawSubmission(bytes, query, options)
    case 'multipart':
      return parseMultipartSubmission(bytes, c.req.header('content-type') ?? '', options)
    case 'json':
      return parseJsonSubmission(bytes, options)
    default:
      return kind satisfies never
  }
}
