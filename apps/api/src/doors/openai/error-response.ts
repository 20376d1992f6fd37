import { type ErrorCode, errorTable, toVisionQueueError, type VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import type { FailedRequest } from '../../problem-response.ts'
import { commonHeaders } from '../../headers.ts'
import { errorHeaders, noteInternalError } from '../../problem-response.ts'

/** An error as OpenAI's clients read it, in an answer of its own or in a stream. */
export const openAiErrorSchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable().describe('the field at fault'),
    code: z.string().describe('a code of the error table'),
  }),
})
export type OpenAiError = z.infer<typeof openAiErrorSchema>

/** Whether a path belongs to this door, so that its errors have OpenAI's form, whatever they are. */
export function isOpenAiPath(path: string): boolean {
  return /^\/v1(\/|$)/.test(path)
}

/** What is told of an error, see toVisionQueueError. */
export function openAiError(error: VisionQueueError): OpenAiError {
  const { code, detail, fields } = error
  return { error: { message: detail, type: typeOf(code), param: fields[0]?.field ?? null, code } }
}

/** Any thrown value as an answer in OpenAI's form, with its status. */
export function openAiErrorResponse(error: unknown, { requestId, log }: FailedRequest): Response {
  const known = toVisionQueueError(error)
  noteInternalError(known, { requestId, log })
  const { status, retryable } = errorTable[known.code]
  return new Response(JSON.stringify(openAiError(known)), {
    status,
    headers: {
      ...commonHeaders(requestId),
      'Content-Type': 'application/json',
      ...errorHeaders(known),
      // OpenAI's clients try every 5xx and 409 again, unless they are told not to.
      ...(retryable ? {} : { 'X-Should-Retry': 'false' }),
    },
  })
}

function typeOf(code: ErrorCode): string {
  if (code === 'unauthorized') return 'authentication_error'
  if (code === 'forbidden') return 'permission_error'
  const { status } = errorTable[code]
  if (status === 429) return 'rate_limit_error'
  return status >= 500 ? 'server_error' : 'invalid_request_error'
}
