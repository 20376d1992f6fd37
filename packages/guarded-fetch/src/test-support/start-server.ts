import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { createServer as createRawServer } from 'node:net'

import { onTestFinished } from 'vitest'

import { certificate, certificateKey } from './certificate.ts'

interface Listening {
  listen(port: number, host: string, done: () => void): unknown
  address(): string | AddressInfo | null
  on(event: 'connection', listener: (socket: Socket) => void): unknown
  close(): unknown
}

/** Serves on loopback until the test ends; tells its port, and how many connections are open. */
async function serve(server: Listening): Promise<{ port: number; open: () => number }> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return { port: address.port, open: () => sockets.size }
}

/** An HTTP server. */
export async function startServer(listener: RequestListener): Promise<{ port: number; open: () => number }> {
  return serve(createServer(listener))
}

/** An HTTPS server with the certificate of `images.test`. */
export async function startTlsServer(listener: RequestListener): Promise<{ port: number; open: () => number }> {
  return serve(createTlsServer({ cert: certificate, key: certificateKey }, listener))
}

/** A server that does with each connection what it likes. */
export async function startRawServer(talk: (socket: Socket) => void): Promise<{ port: number; open: () => number }> {
  return serve(
    createRawServer((socket) => {
      // Unread, a connection would not notice that the other side is gone.
      socket.resume()
      talk(socket)
    }),
  )
}
