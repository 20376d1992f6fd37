import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import { getRequestListener } from '@hono/node-server'
import { VisionQueueError } from '@vision-queue/jobs'
import type { Hono } from 'hono'
import type { Logger } from 'pino'

import type { ApiEnv } from './api-env.ts'
import { problemResponse } from './problem-response.ts'
import { requestIdFrom } from './request-id.ts'

export interface HttpServer {
  port: number
  /**
   * Goes on for `drainMs`, telling each client that its connection ends with the answer, so that nobody sends a
   * request into a closed one; then stops listening, lets running requests finish for `timeoutMs`, and cuts what is left.
   */
  close(timeoutMs: number, drainMs?: number): Promise<void>
}

interface Options {
  app: Hono<ApiEnv>
  host: string
  port: number
  bodyTimeoutMs: number
  log: Logger
}

/** Serves the app over HTTP/1.1. Rejects where the port is taken. */
export async function openHttpServer({ app, host, port, bodyTimeoutMs, log }: Options): Promise<HttpServer> {
  const listener = getRequestListener(async (request, env) => app.fetch(request, env), {
    // A request that is no URL never reaches the app.
    errorHandler: (cause) =>
      problemResponse(new VisionQueueError('invalid_request', 'The address or Host header is malformed.', { cause }), {
        requestId: requestIdFrom(undefined),
        log,
      }),
  })
  // Node's closeIdleConnections leaves alone what has connected and not asked yet, as browsers do ahead of time.
  const running = new Map<Socket, number>()
  const unanswered = new Set<ServerResponse>()
  let draining = false
  let closing = false
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { socket } = incoming
    running.set(socket, (running.get(socket) ?? 0) + 1)
    unanswered.add(outgoing)
    if (draining) outgoing.shouldKeepAlive = false
    outgoing.once('close', () => {
      unanswered.delete(outgoing)
      const left = (running.get(socket) ?? 1) - 1
      if (!socket.destroyed) running.set(socket, left)
      if (closing && left === 0) socket.destroySoon()
    })
    listener(incoming, outgoing).catch((error: unknown) => log.error({ err: error }, 'Answering failed'))
  }
  const server = createServer(
    {
      headersTimeout: 10_000,
      // The net under readBody's own timer, which can answer with a problem document.
      requestTimeout: bodyTimeoutMs + 15_000,
      connectionsCheckingInterval: 5000,
      // Longer than the 60 s for which proxies keep idle connections: the side that reuses one has to close it.
      keepAliveTimeout: 65_000,
    },
    answer,
  )
  // Whoever asks before sending a body is told to go on when it is about to be read, see read-body.ts.
  server.on('checkContinue', answer)
  server.on('connection', (socket) => {
    running.set(socket, 0)
    socket.once('close', () => running.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async close(timeoutMs, drainMs = 0) {
      draining = true
      for (const outgoing of unanswered) outgoing.shouldKeepAlive = false
      if (drainMs > 0) await new Promise((resolve) => setTimeout(resolve, drainMs))
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
      closing = true
      for (const [socket, requests] of running) if (requests === 0) socket.destroySoon()
      const cut = setTimeout(() => server.closeAllConnections(), timeoutMs)
      await closed
      clearTimeout(cut)
    },
  }
}
