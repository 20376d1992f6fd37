import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { readAppendOnlyFiles } from './append-only-files.ts'
import type { StartSettings } from './config.ts'
import { inDataFolder, openDataFolder, userFolder } from './data-folder.ts'
import { takeFolder } from './data-lock.ts'
import { exampleModels, exampleRequests } from './example-request.ts'
import { findRedisServer } from './find-redis.ts'
import { addressOf, freePort, refuseTakenPort } from './free-port.ts'
import { createLeash, type Leash } from './leash.ts'
import { createStages, type Stages } from './stages.ts'
import type { Command } from './process-group.ts'
import { waitUntilServing } from './readiness.ts'
import { waitUntilRedisAnswers } from './redis-ping.ts'
import { type RedisAccess, redisAccess } from './redis-access.ts'
import { redisCommand } from './redis-server.ts'
import { cureLoadFailure } from './repair-redis.ts'
import { StartError } from './start-error.ts'
import type { Backoff } from './supervised-process.ts'

/** What to run as the API, as a consumer or as both; the launcher adds the rest. */
export type AppCommand = Pick<Command, 'file' | 'args'>

interface Options {
  settings: StartSettings
  /** Handed on to the apps, with REDIS_URL, PORT, HOST and, where it is not set, LOG_LEVEL. */
  env: Record<string, string | undefined>
  apps: { api: AppCommand; consumer: AppCommand; server: AppCommand }
  /** The repository: where the apps run, and where a relative DATA_DIR begins. */
  root: string
  redisCacheFolder: string
  defaultLogLevel: 'warn' | 'info'
  backoff: Backoff
  /** How long each process may take to end when it is asked to. */
  stopDeadlineMs: number
  /** Writes a line to the terminal. */
  write: (line: string) => void
}

export interface Launcher {
  /**
   * Starts everything and keeps it running. Settles when all of it has ended again, with the exit code:
   * 0 where that was asked for, 1 where it could not be started.
   */
  run(): Promise<number>
  /** Stops the API, then the consumers that are not in its process, then Redis. */
  stop(): void
  /** Kills them all at once. */
  kill(): void
}

/**
 * Everything on one machine: Redis, the API, consumers, of which one may be in the API's process. A process that dies is started again, with one
 * exception: until a job could be served for the first time, a process that *ends by itself*, such as over
 * a bad setting, ends the whole start, because it would only do so again.
 */
export function createLauncher(options: Options): Launcher {
  const over = new AbortController()
  const { signal } = over
  const askedFor = new Error('Somebody asked for it.')
  const say = (line: string): void => options.write(`[start] ${line}`)
  const progress = { served: false }
  const stages = createStages({ ...options, say, progress, fail: (reason) => over.abort(reason) })

  return {
    async run() {
      const leash = createLeash({ deadlineMs: options.stopDeadlineMs })
      const closers = [async () => await leash.close()]
      let failure: unknown = null
      try {
        await startAll(options, { stages, leash, say, signal, progress, onClose: (close) => closers.push(close) })
        if (!signal.aborted) await once(signal, 'abort')
      } catch (error) {
        failure = error
      }
      // A stop interrupts whatever is under way; then the reason of the stop is what counts.
      if (signal.aborted) failure = signal.reason
      if (failure instanceof StartError) say(failure.message)

      over.abort()
      if (stages.some()) say('Stopping.')
      await stages.stop()
      for (const close of closers.toReversed()) await close()
      if (failure === askedFor) return 0
      if (failure instanceof StartError) return 1
      throw failure
    },
    stop: () => over.abort(askedFor),
    kill() {
      over.abort(askedFor)
      stages.kill()
    },
  }
}

/** What the steps of a start share. */
interface Start {
  stages: Stages
  leash: Leash
  say: (line: string) => void
  /** Fires when the start is to end. */
  signal: AbortSignal
  progress: { served: boolean }
  /** Called with what is to be closed when all processes have ended. */
  onClose: (close: () => Promise<void>) => void
}

/** Resolves once a job could be served. */
async function startAll(options: Options, start: Start): Promise<void> {
  const { settings, root, env } = options
  const { leash, say, signal } = start
  const { REDIS_URL: redisUrl } = settings
  let dataFolder = ''
  if (redisUrl === undefined) {
    dataFolder = await openDataFolder({ root, folder: settings.DATA_DIR, given: Boolean(env['DATA_DIR']), env, say })
    const onWait = (): void => say('An earlier start was killed; waiting until its Redis has stopped.')
    const claim = { folder: dataFolder, leashPid: leash.pid, onWait, signal }
    const taken = await inDataFolder(dataFolder, async () => await takeFolder(claim))
    start.onClose(async () => await taken.release())
  }
  await refuseTakenPort(settings.HOST, settings.PORT)
  const redisEnv = redisUrl === undefined ? await startRedis(dataFolder, options, start) : { REDIS_URL: redisUrl }
  startApps(redisEnv, options, start)
  await announce(options, start)
}

/** Resolves to what the apps are told of a Redis that keeps its data in the folder. */
async function startRedis(
  dataFolder: string,
  { env, redisCacheFolder: cacheFolder }: Options,
  { stages, leash, say, signal }: Start,
): Promise<RedisAccess['env']> {
  const userCache = userFolder(env, 'XDG_CACHE_HOME', '.cache')
  const otherCacheFolders = [userCache ?? dataFolder, dataFolder].map((folder) => join(folder, 'redis-package'))
  const server = await findRedisServer({ cacheFolder, otherCacheFolders, env, say, signal })
  const folder = join(dataFolder, 'redis')
  await inDataFolder(folder, async () => {
    await mkdir(folder, { recursive: true })
    await readAppendOnlyFiles(folder)
  })
  const port = await freePort()
  const access = await redisAccess({ server, port, folder })
  // Redis would cut off whatever follows a command that it takes for the last one: repairBrokenEnd looks first.
  const more = ['--aof-load-truncated', 'no', ...access.settings]
  const command = redisCommand({ server, port, folder, persistent: true, env, settings: more })
  const cure = async (lastLines: readonly string[]): Promise<boolean> =>
    await cureLoadFailure({ server, folder, env, say }, lastLines)
  const redis = stages.supervise({ stage: 'redis', name: 'redis', command, leash, cure })
  await waitUntilRedisAnswers({ server, port, pid: () => redis.pid, signal })
  say(`Redis runs on port ${port} and keeps its data in ${folder}.`)
  return access.env
}

function startApps(
  redisEnv: Record<string, string>,
  { settings, env, apps, root, defaultLogLevel }: Options,
  { stages, leash }: Start,
): void {
  const usual = { LOAD_FIRST: exampleModels.join(',') }
  const appEnv = { ...usual, ...env, ...redisEnv, LOG_LEVEL: env['LOG_LEVEL'] || defaultLogLevel }
  const apiEnv = { ...appEnv, PORT: String(settings.PORT), HOST: settings.HOST }
  // The address is the API's alone.
  const consumerEnv = { ...appEnv, PORT: undefined, HOST: undefined }
  const { CONSUMERS: consumers } = settings
  const together = settings.COMPOSITION === 'one' && consumers > 0
  const [name, app] = together ? (['server', apps.server] as const) : (['api', apps.api] as const)
  stages.supervise({ stage: 'api', name, command: { ...app, cwd: root, env: apiEnv }, leash })
  for (let number = together ? 2 : 1; number <= consumers; number += 1) {
    const label = consumers === 1 ? 'consumer' : `consumer-${number}`
    const portEnv = consumerPortEnv(env, number)
    stages.supervise({
      stage: 'consumers',
      name: label,
      command: { ...apps.consumer, cwd: root, env: { ...consumerEnv, ...portEnv } },
      leash,
    })
  }
}

/** Each consumer has a port of its own: CONSUMER_PORT is the first one's, unless it says that any will do. */
function consumerPortEnv({ CONSUMER_PORT: port }: Options['env'], number: number): Record<string, string> {
  const first = Number(port)
  return Number.isInteger(first) && first > 0 ? { CONSUMER_PORT: String(first + number - 1) } : {}
}

/** Waits until a job can be served, and says what to do next. */
async function announce({ settings, root }: Options, { say, signal, progress }: Start): Promise<void> {
  const url = addressOf(settings.HOST, settings.PORT)
  const models = await waitUntilServing({
    url,
    signal,
    onWait: (missing) => say(`Still waiting: ${missing.replace(/\.?$/, '.')}`),
  })
  progress.served = true
  const what = models.length === 0 ? 'whoever has an API key' : models.join(', ')
  say(`Ready: ${url} serves ${what}.`)
  const examples = await exampleRequests({ root, url })
  const lines = examples.map((line) => `\n  ${line}\n`).join('')
  const otherwise = examples.length === 0 ? '' : ` Or ask it in another terminal:\n${lines}`
  say(`Open ${url}/docs in a browser.${otherwise}`)
  say('Ctrl-C stops everything.')
}
