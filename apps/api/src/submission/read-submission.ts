import { imageTypes, VisionQueueError } from '@vision-queue/jobs'
import type { Context } from 'hono'

import type { ApiEnv } from '../api-env.ts'
import { refusal } from '../expectation.ts'
import { parseJsonSubmission } from './json.ts'
import { parseMultipartSubmission } from './multipart.ts'
import type { ParsedSubmission, SubmissionLimits } from './parsed-submission.ts'
import { parseRawSubmission } from './raw.ts'
import { readBody } from './read-body.ts'

export interface ReadSubmissionOptions extends SubmissionLimits {
  maxBodyBytes: number
  bodyTimeoutMs: number
}

const bodyTypes: readonly string[] = ['application/json', 'multipart/form-data', ...imageTypes]

/** The submission in a request, whichever of the body types it uses. What can be refused by the headers is, unread. */
export async function readSubmission(c: Context<ApiEnv>, options: ReadSubmissionOptions): Promise<ParsedSubmission> {
  const contentType = c.req.header('content-type') ?? ''
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!bodyTypes.includes(type)) {
    throw new VisionQueueError('unsupported_media_type', `Content-Type has to be one of ${bodyTypes.join(', ')}.`)
  }
  if (c.req.header('content-encoding') !== undefined) {
    throw new VisionQueueError('unsupported_media_type', 'The body has to come without a Content-Encoding.')
  }
  const raw = type.startsWith('image/')
  const query = c.req.queries()
  const [unexpected] = raw ? [] : Object.keys(query)
  if (unexpected !== undefined) {
    throw refusal('invalid_request', [{ field: unexpected, expected: 'in the body; only an image body has a query' }])
  }
  const body = await readBody(c.env, {
    maxBytes: raw ? Math.min(options.maxImageBytes, options.maxBodyBytes) : options.maxBodyBytes,
    timeoutMs: options.bodyTimeoutMs,
  })
  if (raw) return parseRawSubmission(body, query, options)
  if (type === 'multipart/form-data') return parseMultipartSubmission(body, contentType, options)
  return parseJsonSubmission(body, options)
}
