import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { freePort } from '@vision-queue/local/free-port'
import { createLeash } from '@vision-queue/local/leash'

import { z } from 'zod'

import { startTestRedis, type TestRedis } from './redis.ts'
import { startTestCluster } from './redis-groups.ts'
import { until } from './until.ts'

const bundleRunner = createRequire(import.meta.url).resolve('@vision-queue/bundles/run')
const root = fileURLToPath(new URL('../../', import.meta.url))
/** The programs of a tree. */
const entries = {
  api: 'apps/api/src/main.ts',
  consumer: 'apps/consumer/src/main.ts',
  server: 'apps/server/src/main.ts',
}
/** The same, with engines by the program that ENGINE_ENTRY names. */
const entriesForTests = {
  consumer: 'tests/programs/consumer.ts',
  server: 'tests/programs/server.ts',
}

const modelsSchema = z.object({ models: z.array(z.object({ consumers: z.int(), status: z.string() })) })

/** Log lines of a process that are kept for a test; the rest of a long run is not. */
const mostLines = 10_000
const logLineSchema = z.record(z.string(), z.unknown())

export interface RunningProcess {
  pid: number
  /** The end of what it has printed so far. */
  output(): string
  /** Its log, one parsed line each. */
  logged(): Record<string, unknown>[]
  signal(name: NodeJS.Signals): void
  /** Resolves to how it ended. */
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** A process with an API in it. */
export type RunningApi = RunningProcess & { url: string }

/** Whether an API and a consumer are one process, or each is one. */
export type Composition = 'one' | 'apart'

export interface SystemOptions {
  apis?: number
  consumers?: number
  /** `one`: as many as can be are pairs of one process. Default: where TEST_IN_ONE_PROCESS=1 is set, else `apart`. */
  composition?: Composition | undefined
  apiEnv?: Record<string, string>
  /** Of two that are one process, it wins over `apiEnv`. */
  consumerEnv?: Record<string, string>
  /** Another program for the engines, such as one whose engines are slow. */
  engineEntry?: string
  /** Another program for consumers that are processes of their own, where a tree is too old for `engineEntry`. */
  consumerEntry?: string
  /** The tree whose programs are started, with a slash at its end, such as another revision's. Default: this one. */
  tree?: string
  /** Use this Redis and leave it running at the end. */
  redis?: TestRedis
  /** Run on a Redis Cluster of three nodes; see whyNoRedisGroups. Default: where TEST_ON_CLUSTER=1 is set. */
  cluster?: boolean
}

/** Real API and consumer processes around a Redis of their own, on free ports. */
export interface System {
  redis: TestRedis
  composition: Composition
  apis: RunningApi[]
  /** Those that are one process with an API are among `apis`, too. */
  consumers: RunningProcess[]
  /** The first API's address. */
  url: string
  /** With `env` on top of `consumerEnv`. */
  addConsumer(env?: Record<string, string>): Promise<RunningProcess>
  /** Another API process, on `port` where one is given, such as that of one that died. */
  addApi(port?: number): Promise<RunningApi>
  /** An API and a consumer in one process, the same way. */
  addServer(port?: number): Promise<RunningApi>
  /** Resolves once so many consumers are announced. */
  waitForConsumers(count: number): Promise<void>
  stop(): Promise<void>
}

export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const cluster = options.cluster ?? process.env['TEST_ON_CLUSTER'] === '1'
  const composition = options.composition ?? (process.env['TEST_IN_ONE_PROCESS'] === '1' ? 'one' : 'apart')
  const redis = options.redis ?? (await (cluster ? startTestCluster() : startTestRedis()))
  const processes: RunningProcess[] = []
  // Whatever becomes of us, they end with us.
  const leash = createLeash({ deadlineMs: 5000 })
  const living = new Set<number>()
  const tree = options.tree ?? root
  const launch = (entry: string, env: Record<string, string>): RunningProcess => {
    const launched = launchProcess(tree, entry, { REDIS_URL: redis.url, LOG_LEVEL: 'warn', ...env })
    processes.push(launched)
    living.add(launched.pid)
    leash.hold([...living])
    void launched.exited.finally(() => {
      living.delete(launched.pid)
      leash.hold([...living])
    })
    return launched
  }
  const stop = async (): Promise<void> => {
    for (const { signal } of processes) signal('SIGTERM')
    const late = setTimeout(() => {
      for (const { signal } of processes) signal('SIGKILL')
    }, 15_000)
    await Promise.all(processes.map(async ({ exited }) => exited))
    clearTimeout(late)
    await leash.close()
    if (options.redis === undefined) await redis.stop()
  }

  try {
    const { engineEntry } = options
    const entryOf = (name: 'consumer' | 'server'): string =>
      `${tree}${(engineEntry === undefined ? entries : entriesForTests)[name]}`
    // A heartbeat at the tests' pace, and one model unless the test wants others.
    const consumerEnv = {
      HEARTBEAT_MS: '300',
      MODELS: 'shapes-vqa',
      // As with npm start, engines read images themselves.
      ENGINE_REDIS_URL: redis.url,
      // Every job runs, whatever was asked before.
      ANSWER_TTL_MS: '0',
      ...(engineEntry === undefined ? {} : { ENGINE_ENTRY: engineEntry }),
      ...options.consumerEnv,
    }
    const addConsumer: System['addConsumer'] = async (env = {}) =>
      launch(options.consumerEntry ?? entryOf('consumer'), { ...consumerEnv, ...env })
    const listening = async (entry: string, env: Record<string, string>, wanted?: number): Promise<RunningApi> => {
      const port = wanted ?? (await freePort())
      const api = launch(entry, { HOST: '127.0.0.1', PORT: String(port), ...options.apiEnv, ...env })
      return { ...api, url: `http://127.0.0.1:${port}` }
    }
    const addApi: System['addApi'] = async (port) => listening(`${tree}${entries.api}`, {}, port)
    const addServer: System['addServer'] = async (port) => listening(entryOf('server'), consumerEnv, port)
    const wanted = options.consumers ?? 1
    const pairs = composition === 'one' ? wanted : 0
    const apis: RunningApi[] = []
    for (let index = 0; index < (options.apis ?? 1); index += 1) {
      apis.push(await (index < pairs ? addServer() : addApi()))
    }
    const [first] = apis
    if (first === undefined) throw new Error('A system needs an API')
    const consumers: RunningProcess[] = apis.slice(0, pairs)
    while (consumers.length < wanted) consumers.push(await addConsumer())
    const waitForConsumers = async (count: number): Promise<void> =>
      until(
        async () => {
          const broken = processes.find(
            // An uncaught error, not one in a log line.
            ({ output }) => output().includes('can not be used') || /^\w*Error: /m.test(output()),
          )
          if (broken !== undefined) throw new Error(`A process could not start:\n${broken.output()}`)
          const response = await fetch(`${first.url}/models`).catch(() => null)
          if (response?.ok !== true) return false
          const { models } = modelsSchema.parse(await response.json())
          return (
            count === 0 ||
            (models.some(({ consumers: live }) => live === count) && models.every(({ status }) => status !== 'loading'))
          )
        },
        `${count} consumers are announced`,
        () => processes.map(({ output }) => output()).join('\n'),
      )
    for (const { url } of apis) {
      await until(async () => (await fetch(`${url}/health/live`).catch(() => null))?.ok === true, 'the API answers')
    }
    if (wanted > 0) await waitForConsumers(wanted)
    return {
      redis,
      composition,
      apis,
      consumers,
      url: first.url,
      addConsumer,
      addApi,
      addServer,
      waitForConsumers,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** How a tree's programs are started: by its own bundles, or, where a tree is too old for them, by tsx. */
function launcherOf(tree: string): string[] {
  if (tree === root) return [bundleRunner]
  const runner = `${tree}packages/bundles/src/run.cjs`
  return existsSync(runner) ? [runner] : ['--import', 'tsx']
}

function launchProcess(cwd: string, entry: string, env: Record<string, string>): RunningProcess {
  const child = spawn(process.execPath, [...launcherOf(cwd), entry], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keepEnd = (text: string): void => {
    output = `${output}${text}\n`.slice(-20_000)
  }
  const lines: string[] = []
  createInterface({ input: child.stderr }).on('line', keepEnd)
  createInterface({ input: child.stdout }).on('line', (line) => {
    keepEnd(line)
    if (lines.length < mostLines) lines.push(line)
  })
  return {
    pid: child.pid ?? 0,
    output: () => output,
    logged: () => lines.map((line) => logLineSchema.parse(JSON.parse(line))),
    signal: (name) => {
      child.kill(name)
    },
    exited: exitOf(child),
  }
}

async function exitOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  await once(child, 'exit')
  return { code: child.exitCode, signal: child.signalCode }
}

export { until } from './until.ts'
