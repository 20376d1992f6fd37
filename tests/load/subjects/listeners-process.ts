import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

import { listenersOptionsSchema } from './listeners.ts'
import { Counter, serveDrive } from './serve-drive.ts'

/** Event streams that are open and do nothing: one connection for each job. Argument: listenersOptionsSchema as JSON. */
const { url, jobs } = listenersOptionsSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
const { hostname, port, host } = new URL(url)
const counter = new Counter()
let open: Socket[] = []

async function listen(job: string): Promise<void> {
  const socket = connect(Number(port), hostname)
  open.push(socket)
  socket.write(`GET /jobs/${job}/events HTTP/1.1\r\nhost: ${host}\r\naccept: text/event-stream\r\n\r\n`)
  const [head] = await once(socket, 'data')
  socket.resume()
  if (String(head).startsWith('HTTP/1.1 200')) counter.done(1)
  else throw new Error(`An event stream was answered: ${String(head).slice(0, 200)}`)
}

serveDrive(counter, {
  async go() {
    // Not all at once: a server takes a few hundred connections in one go.
    for (let from = 0; from < jobs.length; from += 50) await Promise.all(jobs.slice(from, from + 50).map(listen))
  },
  async pause() {
    for (const socket of open) socket.destroy()
    open = []
  },
})
