import { nanoid } from 'nanoid'

import type { ApiMiddleware } from './api-env.ts'

const saneId = /^[A-Za-z0-9._-]{1,64}$/

/** A request's id: the caller's own `X-Request-Id` where it is safe to log and echo, else a new one. */
export function requestIdFrom(header: string | undefined): string {
  return header !== undefined && saneId.test(header) ? header : `req_${nanoid()}`
}

/** Names every request and says the name in every answer, so that a caller's report finds its log line. */
export const nameRequest: ApiMiddleware = async (c, next) => {
  const requestId = requestIdFrom(c.req.header('x-request-id'))
  c.set('requestId', requestId)
  await next()
  c.header('X-Request-Id', requestId)
}
