import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

import type { RedisServer } from './find-redis.ts'

const tryTimeoutMs = 1000
const pauseMs = 20

interface Options {
  server: RedisServer
  port: number
  /** The process that we started, asked at each try: another Redis may have taken the port before it. */
  pid: () => number | undefined
  signal: AbortSignal
}

/**
 * Waits until our Redis answers PING on this port of the loopback address. While it loads its
 * append-only file it answers `-LOADING` and refuses all else: that is no answer yet.
 * Rejects when the signal aborts; there is no limit of its own.
 */
export async function waitUntilRedisAnswers({ server, port, pid, signal }: Options): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const answer = await ask(port)
    // In a container it has another process id, and Docker has made sure that the port is its own.
    if (answer.ready && (server.kind === 'docker' || answer.pid === pid())) return
    await delay(pauseMs, undefined, { signal })
  }
}

/** Written to a socket, because ioredis belongs to packages/redis. */
async function ask(port: number): Promise<{ ready: boolean; pid: number | null }> {
  const text = await new Promise<string>((resolve) => {
    let answer = ''
    const socket = connect({ port, host: '127.0.0.1', timeout: tryTimeoutMs })
    const finish = (): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setEncoding('utf8')
    socket.on('connect', () => socket.write('PING\r\nINFO server\r\nQUIT\r\n'))
    socket.on('data', (chunk) => {
      answer += String(chunk)
    })
    // Redis closes the connection after QUIT.
    socket.on('end', finish)
    socket.on('timeout', finish)
    socket.on('error', finish)
    socket.on('close', finish)
  })
  const processId = /^process_id:(\d+)\r$/m.exec(text)?.[1]
  return { ready: text.startsWith('+PONG\r\n'), pid: processId === undefined ? null : Number(processId) }
}
