import { requestFields } from '@vision-queue/process'
import { jobIdSchema } from '@vision-queue/protocol'
import { matchedRoutes } from 'hono/route'
import type { Context } from 'hono'
import type { Logger } from 'pino'

import type { ApiEnv, ApiMiddleware } from '../api-env.ts'
import type { Metrics } from './metrics.ts'

const fromMachines = /^\/(metrics|health)(\/|$)/
const methods = new Set(['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'])

/**
 * One log line and one count per request, by route pattern: no addresses, for those hold queries and whatever else a
 * caller writes. The line names the job that the request submitted or asked about and, if it was refused, the code.
 */
export function observeRequests({ log, metrics }: { log: Logger; metrics: Metrics }): ApiMiddleware {
  return async (c, next) => {
    metrics.noteRequest()
    metrics.requestsInFlight.inc()
    const startedAt = performance.now()
    try {
      await next()
    } finally {
      metrics.requestsInFlight.dec()
    }
    const ms = performance.now() - startedAt
    const route = routePattern(c)
    // Methods are the caller's words; labels have to be few.
    const method = methods.has(c.req.method) ? c.req.method : 'other'
    const { status } = c.res
    metrics.requests.inc({ route, method, status })
    metrics.requestSeconds.observe({ route, method }, ms / 1000)
    if (streamingRoutes.has(route)) countStream(c, metrics, route)
    const fields = {
      ...requestFields(c.get('requestContext')),
      job_id: c.get('jobId') ?? jobIdIn(c.req.path),
      method,
      route,
      status,
      code: c.get('errorCode'),
      ms: Math.round(ms * 10) / 10,
    }
    // Asked every few seconds; what went wrong is told like everything else.
    if (status < 400 && fromMachines.test(route)) log.debug(fields, 'Request')
    else log.info(fields, 'Request')
  }
}

/** Others are not looked at: to make an answer's headers costs as much as the rest of this. */
const streamingRoutes = new Set(['/jobs/:id/events', '/v1/chat/completions'])

/** Counts an answer that is an event stream until its connection is done with it. */
function countStream(c: Context<ApiEnv>, { openStreams }: Metrics, route: string): void {
  if (c.req.method === 'HEAD' || c.res.headers.get('content-type') !== 'text/event-stream') return
  const { outgoing } = c.env
  if (outgoing.closed) return
  openStreams.inc({ route })
  outgoing.once('close', () => openStreams.dec({ route }))
}

/** The pattern that the request met, such as `/jobs/:id`; `unmatched` where there is none. */
function routePattern(c: Context<ApiEnv>): string {
  return matchedRoutes(c).findLast(({ path }) => path !== '/*')?.path ?? 'unmatched'
}

/** The job that an address below `/jobs` is about; undefined: it is about none, or what stands there can be no id. */
function jobIdIn(path: string): string | undefined {
  return jobIdSchema.safeParse(/^\/jobs\/([^/]*)/.exec(path)?.[1]).data
}
