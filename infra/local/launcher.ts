import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { readAppendOnlyFiles } from './append-only-files.ts'
import type { StartSettings } from './config.ts'
import { inDataFolder, openDataFolder, userFolder } from './data-folder.ts'
import { takeFolder } from './data-lock.ts'
import { exampleRequest } from './example-request.ts'
import { findRedisServer } from './find-redis.ts'
import { addressOf, freePort, refuseTakenPort } from './free-port.ts'
import { createLeash, type Leash } from './leash.ts'
import { describeExit, type Command, type Exit } from './process-group.ts'
import { waitUntilServing } from './readiness.ts'
import { waitUntilRedisAnswers } from './redis-ping.ts'
import { redisCommand } from './redis-server.ts'
import { cureLoadFailure } from './repair-redis.ts'
import { StartError } from './start-error.ts'
import { superviseProcess, type Backoff, type SupervisedProcess } from './supervised-process.ts'

/** What to run as the API or as a consumer; the launcher adds the rest. */
export type AppCommand = Pick<Command, 'file' | 'args'>

interface Options {
  settings: StartSettings
  /** Handed on to the apps, with REDIS_URL, PORT, HOST and, where it is not set, LOG_LEVEL. */
  env: Record<string, string | undefined>
  apps: { api: AppCommand; consumer: AppCommand }
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
  /** Stops the API, then the consumers, then Redis. */
  stop(): void
  /** Kills them all at once. */
  kill(): void
}

type Stage = 'api' | 'consumers' | 'redis'

/**
 * Everything on one machine: Redis, the API, consumers. A process that dies is started again, with one
 * exception: until a job could be served for the first time, a process that *ends by itself*, such as over
 * a bad setting, ends the whole start, because it would only do so again.
 */
export function createLauncher(options: Options): Launcher {
  const { settings, env, apps, root, backoff, stopDeadlineMs, write } = options
  const over = new AbortController()
  const { signal } = over
  const stages: Record<Stage, SupervisedProcess[]> = { api: [], consumers: [], redis: [] }
  const stopOrder = [stages.api, stages.consumers, stages.redis]
  const askedFor = new Error('Somebody asked for it.')
  let served = false

  const say = (line: string): void => write(`[start] ${line}`)

  /** `cure` gets the last lines of a process that failed; see cureLoadFailure. */
  function supervise(
    stage: Stage,
    name: string,
    command: Command,
    leash: Leash,
    cure?: (lastLines: readonly string[]) => Promise<boolean>,
  ): SupervisedProcess {
    const quiet = stage === 'redis'
    let lastWords: string[] = []
    const hold = (): void => leash.hold(stopOrder.flat().flatMap(({ pid }) => (pid === undefined ? [] : [pid])))
    const supervised = superviseProcess({
      name,
      command,
      // The apps stop when they lose us; Redis knows nothing of IPC.
      ipc: !quiet,
      backoff,
      stopDeadlineMs,
      say,
      onLine(line) {
        if (quiet) lastWords = [...lastWords.slice(-7), line]
        else write(`[${name}] ${line}`)
      },
      onChange: hold,
      async onExit(exit: Exit) {
        const lines = lastWords
        lastWords = []
        try {
          if (exit.kind === 'code' && (await cure?.(lines)) === true) return 'restart'
        } catch (error) {
          if (served && error instanceof StartError) say(error.message)
          else over.abort(error)
          return served ? 'restart' : 'leave'
        }
        for (const line of lines) write(`[${name}] ${line}`)
        if (served || exit.kind === 'signal') return 'restart'
        over.abort(new StartError(`${name} ${describeExit(exit)} before it was ready. Its own lines above say why.`))
        return 'leave'
      },
    })
    stages[stage].push(supervised)
    // It was started before it was in the list.
    hold()
    return supervised
  }

  async function startRedis(dataFolder: string, leash: Leash): Promise<string> {
    const userCache = userFolder(env, 'XDG_CACHE_HOME', '.cache')
    const otherCacheFolders = [userCache ?? dataFolder, dataFolder].map((folder) => join(folder, 'redis-package'))
    const cacheFolder = options.redisCacheFolder
    const server = await findRedisServer({ cacheFolder, otherCacheFolders, env, say, signal })
    const folder = join(dataFolder, 'redis')
    await inDataFolder(folder, async () => {
      await mkdir(folder, { recursive: true })
      await readAppendOnlyFiles(folder)
    })
    const port = await freePort()
    // Redis would cut off whatever follows a command that it takes for the last one: repairBrokenEnd looks first.
    const whole = ['--aof-load-truncated', 'no']
    const command = redisCommand({ server, port, folder, persistent: true, env, settings: whole })
    const cure = async (lastLines: readonly string[]): Promise<boolean> =>
      await cureLoadFailure({ server, folder, env, say }, lastLines)
    const redis = supervise('redis', 'redis', command, leash, cure)
    await waitUntilRedisAnswers({ server, port, pid: () => redis.pid, signal })
    say(`Redis runs on port ${port} and keeps its data in ${folder}.`)
    return `redis://127.0.0.1:${port}`
  }

  function startApps(redisUrl: string, leash: Leash): void {
    const appEnv = { ...env, REDIS_URL: redisUrl, LOG_LEVEL: env['LOG_LEVEL'] || options.defaultLogLevel }
    const apiEnv = { ...appEnv, PORT: String(settings.PORT), HOST: settings.HOST }
    supervise('api', 'api', { ...apps.api, cwd: root, env: apiEnv }, leash)
    // The address is the API's alone.
    const consumerEnv = { ...appEnv, PORT: undefined, HOST: undefined }
    for (let number = 1; number <= settings.CONSUMERS; number += 1) {
      const name = settings.CONSUMERS === 1 ? 'consumer' : `consumer-${number}`
      supervise('consumers', name, { ...apps.consumer, cwd: root, env: consumerEnv }, leash)
    }
  }

  async function announce(): Promise<void> {
    const url = addressOf(settings.HOST, settings.PORT)
    const models = await waitUntilServing({
      url,
      signal,
      onWait: (missing) => say(`Still waiting: ${missing.replace(/\.?$/, '.')}`),
    })
    served = true
    const what = models.length === 0 ? 'whoever has an API key' : models.join(', ')
    say(`Ready: ${url} serves ${what}.`)
    const example = await exampleRequest({ root, url })
    const otherwise = example === null ? '' : ` Or ask it in another terminal:\n\n  ${example}\n`
    say(`Open ${url}/docs in a browser.${otherwise}`)
    say('Ctrl-C stops everything.')
  }

  async function startAll(leash: Leash, onClose: (close: () => Promise<void>) => void): Promise<void> {
    let redisUrl = settings.REDIS_URL
    let dataFolder = ''
    if (redisUrl === undefined) {
      dataFolder = await openDataFolder({ root, folder: settings.DATA_DIR, given: Boolean(env['DATA_DIR']), env, say })
      const onWait = (): void => say('An earlier start was killed; waiting until its Redis has stopped.')
      const claim = { folder: dataFolder, leashPid: leash.pid, onWait, signal }
      const taken = await inDataFolder(dataFolder, async () => await takeFolder(claim))
      onClose(async () => await taken.release())
    }
    await refuseTakenPort(settings.HOST, settings.PORT)
    redisUrl ??= await startRedis(dataFolder, leash)
    startApps(redisUrl, leash)
    await announce()
  }

  return {
    async run() {
      const leash = createLeash({ deadlineMs: stopDeadlineMs })
      const closers = [async () => await leash.close()]
      let failure: unknown = null
      try {
        await startAll(leash, (close) => closers.push(close))
        if (!signal.aborted) await once(signal, 'abort')
      } catch (error) {
        failure = error
      }
      // A stop interrupts whatever is under way; then the reason of the stop is what counts.
      if (signal.aborted) failure = signal.reason
      if (failure instanceof StartError) say(failure.message)

      over.abort()
      if (stopOrder.flat().length > 0) say('Stopping.')
      for (const stage of stopOrder) await Promise.all(stage.map(async (supervised) => await supervised.stop()))
      for (const close of closers.toReversed()) await close()
      if (failure === askedFor) return 0
      if (failure instanceof StartError) return 1
      throw failure
    },
    stop: () => over.abort(askedFor),
    kill() {
      over.abort(askedFor)
      for (const supervised of stopOrder.flat()) supervised.kill()
    },
  }
}
