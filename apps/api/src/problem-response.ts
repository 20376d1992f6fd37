import { errorTable, toProblem, toVisionQueueError } from '@vision-queue/jobs'
import type { Logger } from 'pino'

import { commonHeaders } from './request-id.ts'

/**
 * Any thrown value as an RFC 9457 problem document. What is not a VisionQueueError answers 500 with
 * a fixed sentence: its own message and stack go to the log, never to the caller.
 */
export function problemResponse(error: unknown, { requestId, log }: { requestId: string; log: Logger }): Response {
  const known = toVisionQueueError(error)
  if (known.code === 'internal_error') log.error({ request_id: requestId, err: known.cause ?? known }, 'Request failed')
  const problem = toProblem(known, requestId)
  return new Response(JSON.stringify(problem), {
    status: errorTable[known.code].status,
    headers: {
      ...commonHeaders(requestId),
      'Content-Type': 'application/problem+json',
      'Cache-Control': 'no-store',
      ...(known.retryAfterMs === undefined
        ? {}
        : { 'Retry-After': String(Math.max(1, Math.ceil(known.retryAfterMs / 1000))) }),
    },
  })
}
