import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

import { listenError, sameSecret } from '@vision-queue/process'
import type { Logger } from 'pino'

import { consumerReadiness, type ConsumerView } from './consumer-health.ts'
import { createConsumerMetrics } from './consumer-metrics.ts'

interface Options {
  host: string
  /** 0: a free one. */
  port: number
  /** What opens /metrics; '': nothing is asked for. */
  metricsToken: string
  /** After so long without an announcement API processes hold the consumer for gone. */
  lifetimeMs: number
  read: () => ConsumerView
  log: Logger
}

/** The port of a consumer, for orchestrators and Prometheus. It serves nothing else and takes no bodies. */
export interface HealthServer {
  port: number
  close(): Promise<void>
}

interface Reply {
  status: number
  body: string
  type?: string
}

/**
 * Listens. Rejects with PlainError where the address can't be had.
 *
 * - `GET /health`, `/health/live`: 200 as long as the event loop turns; says nothing of Redis, whose absence no restart
 *   cures.
 * - `GET /health/ready`: 200 if jobs that come now are run, else 503 with what is missing.
 * - `GET /metrics`: what only this process knows.
 */
export async function openHealthServer(options: Options): Promise<HealthServer> {
  const { host, port, log } = options
  const answer = createAnswers(options)
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000 }, (request, response) => {
    answer(request)
      .then((reply) => send(response, reply, request.method === 'HEAD'))
      .catch((error: unknown) => {
        log.error({ err: error }, 'Answering failed')
        response.destroy()
      })
  })
  await new Promise<void>((resolve, reject) => {
    const names = { host: 'CONSUMER_HOST', port: 'CONSUMER_PORT' }
    server.once('error', (error) => reject(listenError(error, { host, port, names })))
    server.listen(port, host, resolve)
  })
  const address = server.address()
  const taken = typeof address === 'object' && address !== null ? address.port : port
  log.info({ host, port: taken }, 'Health and metrics')
  return {
    port: taken,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

function createAnswers({ metricsToken, lifetimeMs, read }: Options): (request: IncomingMessage) => Promise<Reply> {
  const registry = createConsumerMetrics(read)
  return async ({ method, url = '', headers }) => {
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: 'Only GET and HEAD.\n' }
    switch (url.replace(/\?.*$/s, '')) {
      case '/health':
      case '/health/live':
        return json(200, { status: 'ok' })
      case '/health/ready': {
        const readiness = consumerReadiness(read(), { now: performance.now(), lifetimeMs })
        return json(readiness.status === 'ready' ? 200 : 503, readiness)
      }
      case '/metrics': {
        const token = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
        if (metricsToken !== '' && !sameSecret(token, metricsToken)) {
          return { status: 401, body: 'This needs METRICS_TOKEN, as Authorization: Bearer <token>.\n' }
        }
        return { status: 200, body: await registry.metrics(), type: registry.contentType }
      }
      default:
        return { status: 404, body: 'There are /health, /health/live, /health/ready and /metrics.\n' }
    }
  }
}

function json(status: number, body: object): Reply {
  return { status, body: JSON.stringify(body), type: 'application/json' }
}

function send(response: ServerResponse, { status, body, type = 'text/plain; charset=utf-8' }: Reply, head: boolean) {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
    ...(status === 405 ? { Allow: 'GET, HEAD' } : {}),
  })
  response.end(head ? undefined : body)
}
