import { contextOf, SpanKind, SpanStatusCode, traceparentOf, type Tracing } from '@vision-queue/tracing'
import { matchedRoutes } from 'hono/route'

import type { ApiMiddleware } from '../api-env.ts'

/** Asked by machines, again and again. */
const untraced = /^\/(metrics|health)(\/|$)/

/**
 * A span for each request, named by method and route pattern. What the request hands on (a job) belongs to the same
 * trace, by its `traceparent`. To be put behind nameRequest.
 */
export function traceRequests({ tracer }: Tracing): ApiMiddleware {
  return async (c, next) => {
    const { method, path } = c.req
    if (untraced.test(path)) return next()
    const { requestId, traceparent } = c.get('requestContext')
    const attributes = { 'http.request.method': method, 'vision_queue.request_id': requestId }
    const span = tracer.startSpan(method, { kind: SpanKind.SERVER, attributes }, contextOf(traceparent))
    c.set('requestContext', { requestId, traceparent: traceparentOf(span) })
    try {
      await next()
    } finally {
      const route = matchedRoutes(c).findLast(({ path: pattern }) => pattern !== '/*')?.path ?? 'unmatched'
      span.updateName(`${method} ${route}`)
      span.setAttributes({ 'http.route': route, 'http.response.status_code': c.res.status })
      const code = c.get('errorCode')
      if (code !== undefined) span.setAttribute('error.type', code)
      if (c.res.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
      const jobId = c.get('jobId')
      if (jobId !== undefined) span.setAttribute('vision_queue.job_id', jobId)
      span.end()
    }
  }
}
