import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

import { jobTimesSchema } from '@vision-queue/load/sample'

import { z } from 'zod'

import { httpPlanSchema, type RawRequest } from './http-plan.ts'
import { createResponseReader } from './http-response.ts'
import { Counter, serveDrive } from './serve-drive.ts'

/**
 * The clients of a load on plain sockets: a library for HTTP would cost more than the servers that are measured.
 * Argument: HttpPlan as JSON. Connections are made anew for each window, since servers close those that are idle.
 */
const plan = httpPlanSchema.parse(JSON.parse(process.argv[2] ?? 'null'))
const { hostname, port, host } = new URL(plan.url)
const serialBytes = plan.unique ? 16 : 0

interface ReadyRequest {
  head: Buffer
  body: Buffer | null
}

const files = new Map<string, Buffer>()
async function prepare({ method, path, headers, file }: RawRequest): Promise<ReadyRequest> {
  if (file !== null && !files.has(file)) files.set(file, await readFile(file))
  const body = file === null ? null : (files.get(file) ?? null)
  const length = body === null ? [] : [`content-length: ${body.byteLength + serialBytes}`]
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${host}`, ...headers, ...length]
  return { head: Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body }
}

const requests = await Promise.all(plan.requests.map(prepare))
const answeredSchema = z.object({ metrics: jobTimesSchema })
const counter = new Counter()
const mark = randomBytes(6).toString('hex').slice(0, 6)
let sent = 0
const state = { stopping: false }
let running: Promise<void>[] = []
/** What clients do that think at the moment, by their timers. */
const thinking = new Map<NodeJS.Timeout, () => void>()

function think(then: () => void): void {
  const milliseconds = -Math.log(1 - Math.random()) * (plan.thinkMs ?? 0)
  const timer = setTimeout(() => {
    thinking.delete(timer)
    then()
  }, milliseconds)
  thinking.set(timer, then)
}

/** Sends one request after the other on one connection until the pause, or until the connection breaks. */
async function converse(connected: () => void): Promise<void> {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  const reader = createResponseReader()
  await once(socket, 'connect')
  connected()
  await new Promise<void>((resolve, reject) => {
    let sentAt = 0
    const send = (): void => {
      if (state.stopping) return void socket.end(resolve)
      const request = requests[sent % requests.length]
      sent += 1
      if (request === undefined) return
      sentAt = performance.now()
      socket.cork()
      socket.write(request.head)
      if (request.body !== null) {
        socket.write(request.body)
        // Decoders don't read what follows the end of an image.
        if (plan.unique) socket.write(mark + String(sent).padStart(serialBytes - mark.length, '0'))
      }
      socket.uncork()
    }
    socket.on('data', (chunk) => {
      const answer = reader.take(chunk)
      if (answer === null) return
      note(answer, performance.now() - sentAt)
      if (plan.thinkMs === null) send()
      else think(send)
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the connection was closed')))
    if (plan.thinkMs === null) send()
    else think(send)
  })
}

function note({ status, body }: { status: number; body: string }, wholeMs: number): void {
  if (status < 200 || status > 299 || (plan.holds !== null && !body.includes(plan.holds))) {
    counter.failed(`${status} ${body.slice(0, 300)}`)
    return
  }
  counter.done(1, wholeMs)
  if (!plan.readTimes) return
  const { preprocess_ms, inference_ms } = answeredSchema.parse(JSON.parse(body)).metrics
  counter.beyond(wholeMs - preprocess_ms - inference_ms)
}

/** One client: a new connection whenever one breaks. `connected` is called for each. */
async function client(connected: () => void): Promise<void> {
  while (!state.stopping) {
    try {
      await converse(connected)
    } catch (error) {
      counter.failed(String(error))
      await sleep(20)
    }
  }
}

serveDrive(counter, {
  async go() {
    state.stopping = false
    const connected = new Promise<void>((resolve) => {
      running = Array.from({ length: plan.clients }, async () => client(resolve))
    })
    const late = sleep(10_000, null, { ref: false }).then(() => {
      throw new Error(`${plan.url} can't be reached`)
    })
    await Promise.race([connected, late])
    late.catch(() => {})
  },
  async pause() {
    state.stopping = true
    for (const [timer, then] of thinking) {
      clearTimeout(timer)
      then()
    }
    thinking.clear()
    await Promise.all(running)
    running = []
  },
})
