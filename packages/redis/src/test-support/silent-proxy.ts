import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A way to a Redis on which hosts can vanish without a word. */
export interface SilentProxy {
  /** redis://127.0.0.1:port */
  url: string
  /** Connections so far. */
  count(): number
  /**
   * From now on nothing passes on the connections that are there (of those, the ones on which `word` was sent),
   * nor are they closed; new ones work.
   */
  silence(word?: string): void
  close(): void
}

export async function openSilentProxy(redisUrl: string): Promise<SilentProxy> {
  const target = Number(new URL(redisUrl).port)
  const links: { sockets: [Socket, Socket]; sent: string; silent: boolean }[] = []
  const server = createServer((client) => {
    const redis = connect(target, '127.0.0.1')
    const link = { sockets: [client, redis] satisfies [Socket, Socket], sent: '', silent: false }
    links.push(link)
    const pass = (from: Socket, to: Socket): void => {
      from.on('data', (bytes: Buffer) => {
        if (from === client) link.sent += bytes.toString('latin1').toLowerCase()
        if (!link.silent) to.write(bytes)
      })
      from.on('error', () => {})
      from.on('close', () => link.silent || to.destroy())
    }
    pass(client, redis)
    pass(redis, client)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `redis://127.0.0.1:${port}`,
    count: () => links.length,
    silence(word = '') {
      for (const link of links) if (link.sent.includes(word)) link.silent = true
    },
    close() {
      server.close()
      for (const { sockets } of links) for (const socket of sockets) socket.destroy()
    },
  }
}
