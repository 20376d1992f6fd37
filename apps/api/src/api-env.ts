import type { HttpBindings } from '@hono/node-server'
import type { Handler, MiddlewareHandler } from 'hono'

/** What every handler finds in its context. */
export interface ApiEnv {
  /** Node's own request and response, for what the fetch standard can't do: refuse a body half-way. */
  Bindings: HttpBindings
  Variables: { requestId: string }
}

export type ApiHandler = Handler<ApiEnv>
export type ApiMiddleware = MiddlewareHandler<ApiEnv>
