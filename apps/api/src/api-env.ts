import type { HttpBindings } from '@hono/node-server'
import type { RequestContext } from '@vision-queue/process'
import type { ErrorCode } from '@vision-queue/protocol'
import type { Handler, MiddlewareHandler } from 'hono'

import type { AddressOf } from './addresses.ts'
import type { Caller } from './guard/caller.ts'

/** What every handler finds in its context. */
export interface ApiEnv {
  /** Node's own request and response, for what the fetch standard can't do: refuse a body half-way. */
  Bindings: HttpBindings
  Variables: {
    requestId: string
    /** The same id and the request's trace, as they travel in a job. */
    requestContext: RequestContext
    /** The job that the request submitted or asked about, for its log line. */
    jobId?: string
    /** The code of the error that was answered, for the log line of the request. */
    errorCode?: ErrorCode
    addressOf: AddressOf
    /** Set by `needs` of access.ts, before every handler of a route that isn't open to everybody. */
    caller: Caller
  }
}

export type ApiHandler = Handler<ApiEnv>
export type ApiMiddleware = MiddlewareHandler<ApiEnv>
