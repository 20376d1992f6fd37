import { VisionQueueError } from '@vision-queue/protocol'

import type { ApiMiddleware } from '../api-env.ts'

/**
 * Headers that may stand in a request once. If one is there twice, a proxy in front may have read the one and this
 * server the other, even if both have the same value today.
 */
const onlyOnce = new Map(
  [
    'Authorization',
    'Content-Encoding',
    'Content-Length',
    'Content-Type',
    'Host',
    'Idempotency-Key',
    'Last-Event-ID',
  ].map((name) => [name.toLowerCase(), name]),
)

/**
 * Refuses a request that can be read in two ways with 400: one of `onlyOnce` twice, or HTTP/1.1 without Host
 * (RFC 9112, 3.2; HTTP/1.0 may leave it out, as health checks of load balancers do). Node's parsed headers hide a
 * second value, so this looks at the raw ones.
 */
export const refuseAmbiguousHeaders: ApiMiddleware = (c, next) => {
  const { rawHeaders, headers, httpVersion } = c.env.incoming
  if (headers.host === undefined && httpVersion === '1.1') {
    throw new VisionQueueError('invalid_request', 'The header Host is missing; HTTP/1.1 needs it.')
  }
  const seen = new Set<string>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? ''
    const written = onlyOnce.get(name)
    if (written === undefined) continue
    if (seen.has(name)) throw new VisionQueueError('invalid_request', `The header ${written} may be sent only once.`)
    seen.add(name)
  }
  return next()
}
