import { Agent, type Dispatcher, request } from 'undici'

import { NotReachedError } from './remote-server.ts'

/** A server that is asked over HTTP, at one address, with one key. */
export interface HttpServer {
  get: (path: string, signal: AbortSignal) => Promise<HttpAnswer>

  send: (message: Message) => Promise<HttpAnswer>
  close: () => Promise<void>
}

export interface Message {
  method: 'GET' | 'POST'
  /** What follows the address. */
  path: string
  body?: string | Buffer | undefined
  headers?: Record<string, string>
  signal: AbortSignal
}

export interface HttpAnswer {
  status: number
  headers: Dispatcher.ResponseData['headers']
  /** Each piece as it comes. Throws where there are more than so many bytes. */
  pieces: () => AsyncIterable<Buffer>
  /** The whole body. */
  bytes: () => Promise<Buffer>
  /** The whole body as text, so many bytes at most; what is over is left out where `cut` says so. */
  text: (options?: { mostBytes?: number; cut?: boolean }) => Promise<string>
}

export interface HttpServerOptions {
  /** Without a slash at its end. */
  url: string
  key: string | null
  /** After so long without a byte the connection is given up. */
  timeoutMs: number
}

const connectTimeoutMs = 5000
const mostAnswerBytes = 64 * 1024 * 1024

/** Failures before anything was sent: nobody listens, no such name, no such key of TLS. */
const notReached = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])

/**
 * Redirects are not followed: whoever may write there would choose where images and the key go. Answers are bounded,
 * and nothing is unpacked.
 */
export function openHttpServer({ url, key, timeoutMs }: HttpServerOptions): HttpServer {
  const dispatcher = new Agent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    // A connection for each job: one that the server closes in the moment that it is used again would cost an attempt.
    pipelining: 0,
  })
  const authorization = key === null ? {} : { Authorization: `Bearer ${key}` }

  const send: HttpServer['send'] = async ({ method, path, body, headers = {}, signal }) => {
    try {
      const answer = await request(`${url}${path}`, {
        dispatcher,
        method,
        signal,
        headers: { ...authorization, 'Accept-Encoding': 'identity', ...headers },
        ...(body === undefined ? {} : { body }),
      })
      return answerOf(answer)
    } catch (error) {
      if (error instanceof Error && 'code' in error && notReached.has(String(error.code))) {
        throw new NotReachedError({ cause: error })
      }
      throw error
    }
  }
  return {
    send,
    get: async (path, signal) => send({ method: 'GET', path, signal }),
    close: async () => dispatcher.destroy(),
  }
}

function answerOf({ statusCode, headers, body }: Dispatcher.ResponseData): HttpAnswer {
  // Who reads it hears of it; who doesn't, and ends the call, has no use for it.
  body.on('error', () => {})
  async function* pieces(): AsyncGenerator<Buffer, void, undefined> {
    let bytes = 0
    for await (const piece of body) {
      if (!Buffer.isBuffer(piece)) throw new Error('a body that is no bytes')
      bytes += piece.length
      if (bytes > mostAnswerBytes) throw new Error(`an answer of more than ${mostAnswerBytes} bytes`)
      yield piece
    }
  }
  return {
    status: statusCode,
    headers,
    pieces,
    async bytes() {
      const read: Buffer[] = []
      for await (const piece of pieces()) read.push(piece)
      return Buffer.concat(read)
    },
    async text({ mostBytes = mostAnswerBytes, cut = false } = {}) {
      const read: Buffer[] = []
      let bytes = 0
      for await (const piece of pieces()) {
        read.push(piece)
        bytes += piece.length
        if (bytes <= mostBytes) continue
        if (!cut) throw new Error(`an answer of more than ${mostBytes} bytes`)
        break
      }
      return Buffer.concat(read).subarray(0, mostBytes).toString('utf8')
    },
  }
}
