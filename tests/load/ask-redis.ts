import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Redis' answer to one command in plain words, such as `INFO memory`: the text of a bulk reply. */
export async function askRedis(url: string, command: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.setEncoding('utf8')
  socket.write(`${command}\r\n`)
  let reply = ''
  for (;;) {
    const [chunk] = await once(socket, 'data')
    reply += String(chunk)
    const [head = '', length] = /^\$(\d+)\r\n/.exec(reply) ?? []
    // A simple reply or an error is one line; a bulk reply says its length.
    if (length === undefined ? reply.endsWith('\r\n') : reply.length >= head.length + Number(length)) break
  }
  socket.destroy()
  return reply
}

/** Milliseconds from a PING to its answer on one open connection, so many times. */
export async function pingRedis(
  url: string,
  { times, everyMs }: { times: number; everyMs: number },
): Promise<number[]> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  await once(socket, 'connect')
  const measured: number[] = []
  while (measured.length < times) {
    await sleep(everyMs)
    const started = performance.now()
    socket.write('PING\r\n')
    await once(socket, 'data')
    measured.push(performance.now() - started)
  }
  socket.destroy()
  return measured
}
