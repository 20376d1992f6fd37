import { join } from 'node:path'

import type { RedisServer } from './find-redis.ts'
import { freePort } from './free-port.ts'
import { createLeash } from './leash.ts'
import { describeExit, startProcessGroup, type Command } from './process-group.ts'
import { waitUntilRedisAnswers } from './redis-ping.ts'

interface CommandOptions {
  server: RedisServer
  port: number
  /** Its data folder; must exist. */
  folder: string
  /** Whether what it holds survives it, in an append-only file of at most a second's delay. */
  persistent: boolean
  /** Arguments that go before ours: a configuration file, `--sentinel`, a Cluster's settings. */
  extra?: readonly string[]
  /** When what is in that file is on the disk: a second later at most, or before Redis answers. Default: everysec. */
  appendFsync?: 'everysec' | 'always'
  env: Record<string, string | undefined>
  /** More of Redis' own settings, as they stand on its command line. */
  settings?: readonly string[]
}

/**
 * The command of a Redis that only this machine can reach. `noeviction`: a queue must refuse rather than
 * forget. No RDB snapshots: the append-only file says all, and a fork of a full server costs memory. Images go through
 * that file and are deleted a moment later, so nearly all of it is past: with Redis' 64 MB photos would have it
 * rewritten, by a fork each time, every few seconds.
 */
export function redisCommand({
  server,
  port,
  folder,
  persistent,
  extra = [],
  appendFsync = 'everysec',
  env,
  ...more
}: CommandOptions): Command {
  const settings = [
    ['--maxmemory-policy', 'noeviction'],
    ['--appendonly', persistent ? 'yes' : 'no'],
    ['--appendfsync', appendFsync],
    ['--auto-aof-rewrite-min-size', '256mb'],
    ['--save', ''],
    more.settings ?? [],
  ].flat()
  switch (server.kind) {
    case 'binary': {
      return {
        file: server.path,
        args: [...extra, '--bind', '127.0.0.1', '--port', String(port), '--dir', folder, ...settings],
        cwd: folder,
        env: { ...env, ...libraries(server) },
      }
    }
    case 'docker': {
      // Only the published port leads in, so the server itself may listen everywhere in its container.
      const container = ['run', '--rm', '--publish', `127.0.0.1:${port}:6379`, '--volume', `${folder}:/data`]
      const inside = ['valkey-server', ...extra, '--protected-mode', 'no', '--dir', '/data', ...settings]
      return { file: 'docker', args: [...container, ...asThisUser(), server.image, ...inside], cwd: folder, env }
    }
    default:
      return server satisfies never
  }
}

interface CheckOptions {
  server: RedisServer
  /** Redis' data folder. */
  folder: string
  /** The manifest of the append-only file, from there. */
  manifest: string
  /** Whether to cut off what is broken; it asks on its standard input. */
  fix: boolean
  env: Record<string, string | undefined>
}

/**
 * The command of the server's own redis-check-aof. That is the server's program under another name, so it is there
 * wherever the server is, and has its version.
 */
export function checkCommand({ server, folder, manifest, fix, env }: CheckOptions): Command & { argv0: string } {
  const options = fix ? ['--fix'] : []
  if (server.kind === 'docker') {
    const container = ['run', '--rm', '--interactive', '--volume', `${folder}:/data`, ...asThisUser()]
    const args = [...container, server.image, 'valkey-check-aof', ...options, `/data/${manifest}`]
    return { file: 'docker', args, argv0: 'docker', cwd: folder, env }
  }
  const argv0 = server.path.includes('valkey') ? 'valkey-check-aof' : 'redis-check-aof'
  const args = [...options, join(folder, manifest)]
  return { file: server.path, args, argv0, cwd: folder, env: { ...env, ...libraries(server) } }
}

function libraries({ libraryPath }: Extract<RedisServer, { kind: 'binary' }>): Record<string, string> {
  return libraryPath === null ? {} : { LD_LIBRARY_PATH: libraryPath }
}

function asThisUser(): string[] {
  return process.getuid === undefined ? [] : ['--user', `${process.getuid()}:${process.getgid?.() ?? 0}`]
}

interface StartOptions extends Omit<CommandOptions, 'port'> {
  /** A free one is picked where it is left out. */
  port?: number
}

export interface RunningRedis {
  url: string
  port: number
  pid: number
  /** Sends it a signal, such as SIGSTOP to freeze it. */
  signal(name: NodeJS.Signals): void
  /** Waits until it has ended. */
  stop(): Promise<void>
}

const stopDeadlineMs = 5000
const portTries = 5

/**
 * Starts a Redis and waits until it answers, with its data loaded. It is not restarted when it dies,
 * and it does not outlive this process. Throws with its last words where it ends before it answers.
 */
export async function startRedis({ port, ...options }: StartOptions): Promise<RunningRedis> {
  for (let attempt = 1; ; attempt += 1) {
    const started = await startOnPort({ ...options, port: port ?? (await freePort()) })
    if ('url' in started) return started
    // Someone may have taken the free port in between; another one helps.
    if (port !== undefined || attempt === portTries) throw new Error(`Redis ${started.problem}`)
  }
}

async function startOnPort(options: CommandOptions): Promise<RunningRedis | { problem: string }> {
  let lastWords: string[] = []
  const redis = startProcessGroup(redisCommand(options), {
    onLine: (line) => {
      lastWords = [...lastWords.slice(-2), line]
    },
  })
  const leash = createLeash({ deadlineMs: stopDeadlineMs })
  if (redis.pid !== undefined) leash.hold([redis.pid])
  const released = redis.exited.then(async () => await leash.close())

  const waiting = new AbortController()
  const answered = waitUntilRedisAnswers({ ...options, pid: () => redis.pid, signal: waiting.signal }).catch(
    () => undefined,
  )
  const exit = await Promise.race([redis.exited, answered])
  waiting.abort()
  if (exit !== undefined || redis.pid === undefined) {
    await released
    return { problem: `${exit === undefined ? 'has no pid' : describeExit(exit)}: ${lastWords.join(' ')}` }
  }

  return {
    url: `redis://127.0.0.1:${options.port}`,
    port: options.port,
    pid: redis.pid,
    signal: (name) => void redis.process.kill(name),
    async stop() {
      // A frozen one would sleep through SIGTERM.
      redis.process.kill('SIGCONT')
      await redis.stop(stopDeadlineMs)
      await released
    },
  }
}
