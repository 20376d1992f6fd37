import { connect, type Socket } from 'node:net'

import { onTestFinished } from 'vitest'

/** A TCP connection that says exactly what a test wants to say, for requests that no HTTP client sends. */
export interface RawConnection {
  socket: Socket
  /** All that came back so far. */
  received: () => string
  /** Resolves once `text` has come back. */
  until: (text: string) => Promise<string>
  /** Resolves when the server has closed the connection. */
  closed: Promise<void>
}

export async function connectRaw(port: number): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => {
    socket.destroy()
  })
  let received = ''
  const waiting = new Set<() => void>()
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    received += text
    for (const check of waiting) check()
  })
  // A server that stops reading resets the connection; `closed` tells.
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
  })
  await new Promise<void>((resolve) => {
    socket.once('connect', () => resolve())
  })
  return {
    socket,
    received: () => received,
    until: (text) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (!received.includes(text)) return
          waiting.delete(check)
          resolve(received)
        }
        waiting.add(check)
        socket.once('close', () => reject(new Error(`closed before ${JSON.stringify(text)}: ${received}`)))
        check()
      }),
    closed,
  }
}
