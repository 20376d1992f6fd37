import { errorTable, toProblem, toVisionQueueError } from '@vision-queue/protocol'
import type { Logger } from 'pino'

import { commonHeaders } from './headers.ts'

interface Options {
  requestId: string
  log: Logger
}

/**
 * Any thrown value as an RFC 9457 problem document. What is not a VisionQueueError answers 500 with
 * a fixed sentence: its own message and stack go to the log, never to the caller.
 */
export function problemResponse(error: unknown, { requestId, log }: Options): Response {
  const known = toVisionQueueError(error)
  if (known.code === 'internal_error') log.error({ request_id: requestId, err: known.cause ?? known }, 'Request failed')
  const problem = toProblem(known, requestId)
  return new Response(JSON.stringify(problem), {
    status: errorTable[known.code].status,
    headers: {
      ...commonHeaders(requestId),
      'Content-Type': 'application/problem+json',
      ...(known.code === 'unauthorized' ? { 'WWW-Authenticate': 'Bearer realm="vision-queue"' } : {}),
      ...(known.retryAfterMs === undefined
        ? {}
        : { 'Retry-After': String(Math.max(1, Math.ceil(known.retryAfterMs / 1000))) }),
    },
  })
}
