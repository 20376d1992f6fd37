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
  // Before the answer is made: a header added to a made one costs a copy of it.
  c.header('X-Request-Id', requestId)
  await next()
  if (!c.res.headers.has('X-Request-Id')) c.header('X-Request-Id', requestId)
}
