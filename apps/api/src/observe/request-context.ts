import { parseTraceparent } from '@vision-queue/process'
import { nanoid } from 'nanoid'

import type { ApiMiddleware } from '../api-env.ts'
import { commonHeaders } from '../headers.ts'

const saneId = /^[A-Za-z0-9._-]{1,64}$/

/** A request's id: the caller's own `X-Request-Id` where it is safe to log and echo, else a new one. */
export function requestIdFrom(header: string | undefined): string {
  return header !== undefined && saneId.test(header) ? header : `req_${nanoid()}`
}

/**
 * Names every request and says the name in every answer, so that a caller's report finds its log lines; keeps the
 * trace that it belongs to. What every answer carries is set on Node's own response, which an answer's own headers
 * overrule: the Headers of the fetch standard check, copy and sort each of them for each request.
 */
export const nameRequest: ApiMiddleware = (c, next) => {
  const requestId = requestIdFrom(c.req.header('x-request-id'))
  c.set('requestId', requestId)
  c.set('requestContext', { requestId, traceparent: parseTraceparent(c.req.header('traceparent')) })
  const { outgoing } = c.env
  for (const [name, value] of Object.entries(commonHeaders(requestId))) outgoing.setHeader(name, value)
  return next()
}
