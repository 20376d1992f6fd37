import { execFile } from 'node:child_process'
import { access, constants, mkdir } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { unpackedRedis, unpackRedisPackage } from './redis-package.ts'
import { StartError } from './start-error.ts'

const run = promisify(execFile)

/** A Redis, or Valkey, that can be started. */
export type RedisServer =
  | { kind: 'binary'; path: string; libraryPath: string | null }
  | { kind: 'docker'; image: string }

const dockerImage = 'valkey/valkey:8.1-alpine'

interface Options {
  /** Where the downloaded package is kept unpacked, for the next time. */
  cacheFolder: string
  /** Folders that are looked through after it; the package is unpacked into the first of all that can be written. */
  otherCacheFolders?: readonly string[]
  env: Record<string, string | undefined>
  /** A line for the person who waits. */
  say: (line: string) => void
  signal?: AbortSignal
}

/**
 * Finds a Redis to start, in this order: valkey-server or redis-server on PATH; Debian's or Ubuntu's
 * package, unpacked into a cache folder without root; Docker. No npm package ships one that runs everywhere.
 * Throws RedisNotFoundError, which says how to get one.
 */
export async function findRedisServer({
  cacheFolder,
  otherCacheFolders = [],
  env,
  say,
  signal,
}: Options): Promise<RedisServer> {
  const onPath = (await findOnPath('valkey-server', env)) ?? (await findOnPath('redis-server', env))
  if (onPath !== null) return { kind: 'binary', path: onPath, libraryPath: null }

  const folders = [cacheFolder, ...otherCacheFolders] as const
  for (const folder of folders) {
    const cached = await unpackedRedis(folder)
    if (cached !== null) return { kind: 'binary', ...cached }
  }

  const tried: string[] = []
  if ((await findOnPath('apt-get', env)) !== null && (await findOnPath('dpkg', env)) !== null) {
    say('No Redis on PATH: unpacking the one of the distribution, once, without installing it.')
    const unpacking = new AbortController()
    try {
      const fetched = await unpackRedisPackage({
        folder: await firstWritable(folders),
        env,
        signal: signal ?? unpacking.signal,
      })
      return { kind: 'binary', ...fetched }
    } catch (error) {
      signal?.throwIfAborted()
      tried.push(`The distribution's package: ${error instanceof Error ? error.message.trim() : String(error)}`)
    }
  }

  if (await dockerAnswers(env)) return { kind: 'docker', image: dockerImage }
  throw new RedisNotFoundError(tried)
}

const advice = `There is no Redis on this machine. Any one of these helps; then start again:
  Debian, Ubuntu   sudo apt-get update && sudo apt-get install redis-server
  Fedora           sudo dnf install valkey
  Alpine           sudo apk add valkey
  macOS            brew install valkey
  Windows          work in WSL (wsl --install), as on Ubuntu
  Docker           start it, so that "docker version" names a server
  elsewhere        REDIS_URL=redis://host:6379 for a Redis that already runs`

/** Nothing on this machine can be started as a Redis; the message says what to do on each system. */
export class RedisNotFoundError extends StartError {
  constructor(tried: readonly string[]) {
    super([advice, ...tried.map((attempt) => `Tried without success. ${attempt}`)].join('\n'))
    this.name = 'RedisNotFoundError'
  }
}

async function findOnPath(name: string, env: Record<string, string | undefined>): Promise<string | null> {
  for (const folder of (env['PATH'] ?? '').split(delimiter).filter((part) => part !== '')) {
    const path = join(folder, name)
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return path
  }
  return null
}

/** The first folder beside which something can be made; the first of all if there is none, which then says why. */
async function firstWritable(folders: readonly [string, ...string[]]): Promise<string> {
  for (const folder of folders) {
    const parent = dirname(folder)
    const writable = await mkdir(parent, { recursive: true })
      .then(async () => await access(parent, constants.W_OK))
      .then(
        () => true,
        () => false,
      )
    if (writable) return folder
  }
  return folders[0]
}

async function dockerAnswers(env: Record<string, string | undefined>): Promise<boolean> {
  try {
    await run('docker', ['version', '--format', '{{.Server.Version}}'], { env, timeout: 5000 })
    return true
  } catch {
    return false
  }
}
