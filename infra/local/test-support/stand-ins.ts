import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { freePort } from '../free-port.ts'
import { processIdentity } from '../process-identity.ts'

/** Says that it serves a model once all consumers run; notes its id at the start, and its end, in the trace. */
const api = `
import { appendFileSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
if (process.env.API_FAILS) { console.error('PORT: expected something else'); process.exit(1) }
const trace = (line) => appendFileSync(process.env.TRACE, line + '\\n')
const consumers = () => readFileSync(process.env.TRACE, 'utf8').split('redis port').length - 1
const models = () => [{ name: 'stand-in', consumers: consumers() < Number(process.env.CONSUMERS ?? 1) ? 0 : 1 }]
const server = createServer((_, response) => response.end(JSON.stringify({ models: models() })))
server.listen(process.env.PORT, process.env.HOST)
trace('api ' + process.pid)
const stop = () => { trace('api stops'); process.exit() }
process.on('SIGTERM', stop)
process.on('disconnect', stop)
`

/** Notes when it stops, and whether Redis answers then. */
const consumer = `
import { appendFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
const trace = (line) => appendFileSync(process.env.TRACE, line + '\\n')
trace('consumer ' + process.pid)
setInterval(() => {}, 1000)
const redis = new URL(process.env.REDIS_URL)
const where = redis.protocol === 'redis+unix:' ? { path: redis.pathname } : { host: '127.0.0.1', port: redis.port }
const stop = () => {
  if (process.env.CONSUMER_STAYS) return trace('consumer stays')
  const socket = connect(where, () => socket.write('PING\\r\\n'))
  const end = (word) => { trace('consumer stops, redis ' + word); process.exit() }
  socket.on('data', () => end('answers'))
  socket.on('error', () => end('is gone'))
}
process.on('SIGTERM', stop)
process.on('disconnect', () => {})
const asking = connect(where, () => asking.write('INFO server\\r\\n'))
asking.on('data', (info) => {
  trace('redis port ' + /tcp_port:(\\d+)/.exec(info)[1])
  asking.destroy()
})
`

/** Both of them in one process. */
const server = `
import { appendFileSync } from 'node:fs'
appendFileSync(process.env.TRACE, 'server ' + process.pid + '\\n')
await import('./api.mjs')
await import('./consumer.mjs')
`

export interface StandIns {
  folder: string
  port: number
  /** Runs the real start.ts with the stand-ins, as npm start does. Everything in `env` comes on top. */
  start(env?: Record<string, string>): StartedLauncher
  /** Kills what is still there and removes the folder. */
  close(): Promise<void>
}

export interface StartedLauncher {
  process: ChildProcess
  pid: number
  output(): string
  /** Its exit code, once it has ended. */
  exited: Promise<number | null>
  /** Lines that its stand-ins noted, in order. */
  trace(): Promise<string[]>
  /** The last number that was noted after these words, such as `api` for its process id. */
  noted(words: string): Promise<number>
  /** Waits until the output holds this text. */
  says(text: string): Promise<void>
}

const bundleRunner = createRequire(import.meta.url).resolve('@vision-queue/bundles/run')
const startFile = fileURLToPath(new URL('../start.ts', import.meta.url))
const root = fileURLToPath(new URL('../../..', import.meta.url))

export async function createStandIns(): Promise<StandIns> {
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-start-'))
  const port = await freePort()
  const programs = { api, consumer, server }
  const fileOf = (name: string): string => join(folder, `${name}.mjs`)
  await Promise.all(Object.entries(programs).map(async ([name, text]) => await writeFile(fileOf(name), text)))
  const started: StartedLauncher[] = []

  return {
    folder,
    port,
    start(env = {}) {
      const traceFile = join(folder, `trace-${started.length}`)
      const trace = async (): Promise<string[]> =>
        (await readFile(traceFile, 'utf8').catch(() => '')).trim().split('\n')
      const { npm_lifecycle_event: _, REDIS_URL: __, ...inherited } = process.env
      const launcher = spawn(
        process.execPath,
        [bundleRunner, startFile, ...Object.keys(programs).flatMap((name) => [`--${name}`, fileOf(name)])],
        {
          cwd: root,
          env: {
            ...inherited,
            PORT: String(port),
            DATA_DIR: join(folder, 'data'),
            TRACE: traceFile,
            COMPOSITION: 'apart',
            ...env,
          },
        },
      )
      let output = ''
      for (const stream of [launcher.stdout, launcher.stderr]) {
        stream.setEncoding('utf8').on('data', (text) => {
          output += String(text)
        })
      }
      const exited = once(launcher, 'exit').then(() => launcher.exitCode)
      const running: StartedLauncher = {
        process: launcher,
        pid: launcher.pid ?? 0,
        exited,
        output: () => output,
        trace,
        async noted(words) {
          const line = (await trace()).findLast((text) => new RegExp(`^${words} \\d+$`).test(text))
          return Number(line?.split(' ').at(-1))
        },
        says: async (text) =>
          await until(
            () => output.includes(text),
            () => `"${text}" in:\n${output}`,
          ),
      }
      started.push(running)
      return running
    },
    async close() {
      for (const { process: launcher, exited } of started) {
        launcher.kill('SIGTERM')
        await exited
      }
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Waits until this holds; a test that waits for ever fails by its own timeout, so this says first what was awaited. */
export async function until(holds: () => boolean | Promise<boolean>, awaited: () => string): Promise<void> {
  const givenUpAt = performance.now() + 40_000
  while (!(await holds())) {
    if (performance.now() > givenUpAt) throw new Error(`Waited in vain for ${awaited()}`)
    await delay(20)
  }
}

/** Waits until none of these processes lives. */
export async function untilGone(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    await until(
      async () => (await processIdentity(pid)) === null,
      () => `the end of process ${pid}`,
    )
  }
}

/** Sends one inline command to the Redis on this port; its whole answer. */
export async function askRedis(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (text) => {
    answer += String(text)
  })
  socket.write(`${command}\r\nQUIT\r\n`)
  await once(socket, 'end')
  socket.destroy()
  return answer
}
