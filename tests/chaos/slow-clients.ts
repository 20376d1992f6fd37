import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

import { percentile } from '@vision-queue/load/statistics'

import { freshExample } from './load.ts'
import { holdingOf } from './processes.ts'
import { type Finding, type Scenario, sleep } from './scenario.ts'
import { underLoad, type UnderLoad } from './under-load.ts'

/** How long a body may take, for these runs. */
const bodyTimeoutMs = 3000

/** Clients that take their time, or vanish, while others work. */
export const slowClients: Scenario = {
  name: 'slow-clients',
  title: 'bodies that trickle in, idle event streams and clients that vanish, while others work',
  async run({ form, say, composition }) {
    const many = form === 'short' ? 200 : 2000
    return underLoad({ composition, apiEnv: { BODY_TIMEOUT_MS: String(bodyTimeoutMs) } }, async (setting) => {
      const findings: Finding[] = []
      for (const strike of [trickle, idleStreams, vanish]) {
        findings.push(await strike(setting, many))
        say(`${strike.name} done`)
      }
      return findings
    })
  },
}

/** Bodies of which a byte comes now and then. */
async function trickle(setting: UnderLoad, many: number): Promise<Finding> {
  return meanwhile(setting, `${many} bodies that trickle in`, async (port) => {
    const sockets = await open(port, many, (socket) => {
      socket.write('POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n')
    })
    const answers = sockets.map(async (socket) => firstLine(socket, bodyTimeoutMs + 60_000))
    const drip = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('x')
    }, 200)
    const lines = await Promise.all(answers)
    clearInterval(drip)
    for (const socket of sockets) socket.destroy()
    const cut = lines.filter((line) => line.includes(' 408 ')).length
    return { held: cut === many, figures: { 'answered 408': cut } }
  })
}

/** Event streams of a job that nobody will finish for a while. */
async function idleStreams(setting: UnderLoad, many: number): Promise<Finding> {
  return meanwhile(setting, `${many} idle event streams`, async (port) => {
    const id = await waitingJob(setting)
    const sockets = await open(port, many, (socket) => {
      socket.write(`GET /jobs/${id}/events HTTP/1.1\r\nHost: a\r\n\r\n`)
    })
    const lines = await Promise.all(sockets.map(async (socket) => firstLine(socket, 60_000)))
    await sleep(1000)
    const streaming = lines.filter((line) => line.includes(' 200 ')).length
    for (const socket of sockets) socket.destroy()
    await setting.redis.del(`vq:job:${id}`)
    await sleep(500)
    const left = (await setting.redis.pubsub('CHANNELS', `vq:changes:${id}`)).length
    return {
      held: streaming === many && left === 0,
      figures: { 'streams open': streaming, 'subscriptions left': left },
    }
  })
}

/** Clients that hang up in the middle of a body, or of waiting. */
async function vanish(setting: UnderLoad, many: number): Promise<Finding> {
  return meanwhile(setting, `${many} clients that vanish`, async (port) => {
    const id = await waitingJob(setting)
    const sockets = await open(port, many, (socket) => {
      const [request] = [
        `GET /jobs/${id}?wait=60 HTTP/1.1\r\nHost: a\r\n\r\n`,
        'POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\nhalf',
      ].slice(socket.localPort === undefined ? 0 : socket.localPort % 2)
      socket.write(request ?? '')
    })
    await sleep(300)
    for (const socket of sockets) socket.resetAndDestroy()
    await setting.redis.del(`vq:job:${id}`)
    await sleep(1000)
    const left = (await setting.redis.pubsub('CHANNELS', `vq:changes:${id}`)).length
    return { held: left === 0, figures: { 'subscriptions left': left } }
  })
}

/** The record of a job that was never queued: known to the API, and nobody finishes it. */
async function waitingJob({ redis, ledger, probe }: UnderLoad): Promise<string> {
  await probe()
  const example = ledger.ids.at(-1) ?? ''
  const id = `job_${'w'.repeat(21)}`
  const job = {
    version: 1,
    id,
    model: 'shapes-vqa',
    modelVersion: '1',
    versionPinned: false,
    image: { hash: '0'.repeat(64), bytes: 1, type: 'image/jpeg' },
    input: { question: example },
    parameters: {},
    metadata: null,
    createdAt: Date.now(),
    deadlineAt: null,
  }
  await redis.set(`vq:job:${id}`, JSON.stringify(job), 'PX', 120_000)
  return id
}

/** Runs `strike` while honest clients work, and looks at what the API holds before, in the worst moment and after. */
async function meanwhile(
  setting: UnderLoad,
  fault: string,
  strike: (port: number) => Promise<{ held: boolean; figures: Finding['figures'] }>,
): Promise<Finding> {
  const { system, load, probe, finding } = setting
  const pid = system.apis[0]?.pid ?? 0
  const running = load({ clients: 2, pauseMs: 100, example: () => freshExample() })
  const alone = [await probe(), await probe(), await probe()].map(({ ms }) => ms)
  const before = holdingOf(pid)
  let most = before.rssBytes
  const over = new AbortController()
  const during: number[] = []
  const others = (async () => {
    while (!over.signal.aborted) {
      most = Math.max(most, holdingOf(pid).rssBytes)
      const { status, ms } = await probe()
      if (status === 202) during.push(ms)
      await sleep(100)
    }
  })()
  const { held, figures } = await strike(Number(new URL(system.url).port))
  over.abort()
  await others
  await sleep(500)
  const after = holdingOf(pid)
  const counts = await running.stop()
  const told = await finding(fault, counts, { held: held && counts.unexpected === 0 && counts.broken === 0 })
  return {
    ...told,
    figures: {
      ...told.figures,
      ...figures,
      'API grew by, MiB at most': Math.round((most - before.rssBytes) / 2 ** 20),
      'descriptors before, after': `${before.descriptors}, ${after.descriptors}`,
      'a submission of others, ms': `${percentile(alone, 0.5)} before, p50 ${percentile(during, 0.5)} p99 ${percentile(during, 0.99)} meanwhile`,
    },
  }
}

async function open(port: number, many: number, greet: (socket: Socket) => void): Promise<Socket[]> {
  return Promise.all(
    Array.from({ length: many }, async () => {
      const socket = connect(port, '127.0.0.1')
      // It will be cut, by us or by them.
      socket.on('error', () => {})
      await once(socket, 'connect')
      greet(socket)
      return socket
    }),
  )
}

/** '' where nothing came in time. */
async function firstLine(socket: Socket, withinMs: number): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(''), withinMs)
    const end = (text: string): void => {
      clearTimeout(timer)
      resolve(text.split('\r\n')[0] ?? '')
    }
    socket.once('data', (chunk: Buffer) => end(chunk.toString('latin1')))
    socket.once('close', () => end(''))
  })
}
