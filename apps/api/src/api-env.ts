import type { HttpBindings } from '@hono/node-server'
import type { Handler, MiddlewareHandler } from 'hono'

import type { AddressOf } from './addresses.ts'
import type { Caller } from './guard/caller.ts'

/** What every handler finds in its context. */
export interface ApiEnv {
  /** Node's own request and response, for what the fetch standard can't do: refuse a body half-way. */
  Bindings: HttpBindings
  Variables: {
    requestId: string
    addressOf: AddressOf
    /** Set by `needs` of access.ts, before every handler of a route that isn't open to everybody. */
    caller: Caller
    /** What is left of the caller's requests, for answers that are made whole. */
    rateHeaders?: Readonly<Record<string, string>>
  }
}

export type ApiHandler = Handler<ApiEnv>
export type ApiMiddleware = MiddlewareHandler<ApiEnv>
