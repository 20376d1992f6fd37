import { createServer, type IncomingMessage, maxHeaderSize, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { getRequestListener } from '@hono/node-server'
import { listenError } from '@vision-queue/process'
import { errorTable, toProblem, VisionQueueError } from '@vision-queue/protocol'
import type { Hono } from 'hono'
import type { Logger } from 'pino'

import type { ApiEnv } from './api-env.ts'
import { commonHeaders } from './headers.ts'
import { requestIdFrom } from './observe/request-context.ts'
import { problemResponse } from './problem-response.ts'

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

/** A client that has just connected is about to ask; who connects ahead of time, as browsers do, is not waited for. */
const firstRequestMs = 300

/** Serves the app over HTTP/1.1. Rejects with PlainError where the address can't be had. */
export async function openHttpServer({ app, host, port, bodyTimeoutMs, log }: Options): Promise<HttpServer> {
  const listener = getRequestListener(async (request, env) => app.fetch(request, env), {
    // A request that is no URL never reaches the app.
    errorHandler: (cause) =>
      problemResponse(new VisionQueueError('invalid_request', 'The address or Host header is malformed.', { cause }), {
        requestId: requestIdFrom(undefined),
        log,
      }),
    // For HTTP/1.0 without Host. HTTP/1.1 without one is refused by unambiguous-headers.ts.
    hostname: 'localhost',
  })
  // Node's closeIdleConnections leaves alone what has connected and not asked yet, as browsers do ahead of time.
  const running = new Map<Socket, Set<ServerResponse>>()
  let draining = false
  let closing = false
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { socket } = incoming
    const answers = running.get(socket)
    answers?.add(outgoing)
    if (draining) outgoing.shouldKeepAlive = false
    outgoing.once('close', () => {
      answers?.delete(outgoing)
      if (closing && answers?.size === 0) socket.destroySoon()
    })
    incoming.url = routableTarget(incoming)
    listener(incoming, outgoing).catch((error: unknown) => log.error({ err: error }, 'Answering failed'))
  }
  const server = createServer(
    {
      headersTimeout: 10_000,
      // It is required all the same, by unambiguous-headers.ts: Node's own answer would have no body.
      requireHostHeader: false,
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
  // RFC 9110, 10.1.1: what else may be expected can be passed over. Node's own 417 has no body.
  server.on('checkExpectation', answer)
  server.on('clientError', (error, socket) => {
    const midAnswer = [...running].some(([open, answers]) => open === socket && [...answers].some((a) => a.headersSent))
    if (midAnswer) socket.destroy()
    else refuseMalformed(error, socket, log)
  })
  server.on('connection', (socket) => {
    running.set(socket, new Set())
    socket.once('close', () => running.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, { host, port, names: { host: 'HOST', port: 'PORT' } })))
    server.listen(port, host, resolve)
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async close(timeoutMs, drainMs = 0) {
      draining = true
      for (const answers of running.values()) for (const outgoing of answers) outgoing.shouldKeepAlive = false
      if (drainMs > 0) await new Promise((resolve) => setTimeout(resolve, drainMs))
      // When a timer fires, connections may wait to be accepted, and would be reset: the loop takes them in first.
      await new Promise((resolve) => setImmediate(resolve))
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
      closing = true
      const endIdle = (which: (socket: Socket) => boolean): void => {
        for (const [socket, { size }] of running) if (size === 0 && which(socket)) socket.destroySoon()
      }
      endIdle(({ bytesRead }) => bytesRead > 0)
      const late = setTimeout(() => endIdle(() => true), Math.min(timeoutMs, firstRequestMs))
      const cut = setTimeout(() => server.closeAllConnections(), timeoutMs)
      await closed
      clearTimeout(late)
      clearTimeout(cut)
    },
  }
}

/**
 * The request target in the form that the listener routes (RFC 9112, 3.2). `OPTIONS *` asks about the server as a
 * whole and is answered as `OPTIONS /`. A scheme may be written in capitals.
 */
function routableTarget({ method, url = '' }: IncomingMessage): string {
  if (method === 'OPTIONS' && url === '*') return '/'
  return url.replace(/^https?:/i, (scheme) => scheme.toLowerCase())
}

/** What can't be read as HTTP never reaches the app; Node's own answer to it would have no body. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex, log: Logger): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const requestId = requestIdFrom(undefined)
  const refused = malformed(error)
  const body = JSON.stringify(toProblem(refused, requestId))
  const headers = {
    ...commonHeaders(requestId),
    'Content-Type': 'application/problem+json',
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
  }
  const { status } = errorTable[refused.code]
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`)
  // Also whoever hangs up within a body, which is common.
  log.debug({ request_id: requestId, reason: error.code }, 'No HTTP')
}

function malformed(error: NodeJS.ErrnoException): VisionQueueError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new VisionQueueError('invalid_request', `The headers may have at most ${maxHeaderSize} bytes together.`)
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new VisionQueueError('request_timeout', 'The request took too long to arrive.')
    case undefined:
    default:
      return new VisionQueueError('invalid_request', 'This is no well-formed HTTP/1.1 request.')
  }
}
