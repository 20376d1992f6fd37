import { errorTable, toProblem, toVisionQueueError, type VisionQueueError } from '@vision-queue/protocol'
import type { Logger } from 'pino'

import { commonHeaders } from './headers.ts'

/** The request that an error is the answer to. */
export interface FailedRequest {
  requestId: string
  log: Logger
}

/**
 * Any thrown value as an RFC 9457 problem document. What is not a VisionQueueError answers 500 with
 * a fixed sentence: its own message and stack go to the log, never to the caller.
 */
export function problemResponse(error: unknown, { requestId, log }: FailedRequest): Response {
  const known = toVisionQueueError(error)
  noteInternalError(known, { requestId, log })
  const problem = toProblem(known, requestId)
  return new Response(JSON.stringify(problem), {
    status: errorTable[known.code].status,
    headers: {
      ...commonHeaders(requestId),
      'Content-Type': 'application/problem+json',
      ...errorHeaders(known),
    },
  })
}

/** Logs what a caller is not told. */
export function noteInternalError(error: VisionQueueError, { requestId, log }: FailedRequest): void {
  if (error.code === 'internal_error') log.error({ request_id: requestId, err: error.cause ?? error }, 'Request failed')
}

/** What an error says in headers, in whichever form its body is. */
export function errorHeaders({ code, retryAfterMs }: VisionQueueError): Record<string, string> {
  return {
    ...(code === 'unauthorized' ? { 'WWW-Authenticate': 'Bearer realm="vision-queue"' } : {}),
    ...(retryAfterMs === undefined ? {} : { 'Retry-After': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) }),
  }
}
