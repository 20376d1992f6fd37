import { nanoid } from 'nanoid'

import type { ApiMiddleware } from '../api-env.ts'

const saneId = /^[A-Za-z0-9._-]{1,64}$/

/** A request's id: the caller's own `X-Request-Id` where it is safe to log and echo, else a new one. */
export function requestIdFrom(header: string | undefined): string {
  return header !== undefined && saneId.test(header) ? header : `req_${nanoid()}`
}

/**
 * What every answer carries. It is never kept by caches between, never taken for another type, and where a
 * browser shows it as a page it loads nothing and stands in no frame; the docs page allows itself a little more.
 */
export function commonHeaders(requestId: string): Record<string, string> {
  return {
    'X-Request-Id': requestId,
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
  }
}

/**
 * Names every request and says the name in every answer, so that a caller's report finds its log line. Before
 * the answer is made, for a header added to a made one costs a copy of it; problem documents bring theirs.
 */
export const nameRequest: ApiMiddleware = async (c, next) => {
  const requestId = requestIdFrom(c.req.header('x-request-id'))
  c.set('requestId', requestId)
  for (const [name, value] of Object.entries(commonHeaders(requestId))) c.header(name, value)
  await next()
}
