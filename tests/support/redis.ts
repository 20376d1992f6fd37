import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { startRedis } from '@vision-queue/local/redis-server'

import { findRedisUnderTest } from './redis-under-test.ts'

export interface TestRedis {
  /** redis://127.0.0.1:port */
  url: string
  readonly pid: number
  /** Ends it, frozen or not, and removes its folder. */
  stop(): Promise<void>
  /** It keeps its connections and answers nothing, as a hung host does. */
  freeze(): void
  thaw(): void
  /** SIGKILL, as the kernel does for want of memory. Call `stop` nevertheless, for the folder. */
  kill(): void
}

export interface SingleTestRedis extends TestRedis {
  /** Where it keeps its append-only file, if it has one. */
  folder: string
  /** Ends it by the signal, and starts it again on the same port and folder once `meanwhile` is done. */
  restart(signal: 'SIGTERM' | 'SIGKILL', meanwhile?: () => Promise<void>): Promise<void>
}

export interface TestRedisOptions {
  /** More of Redis' own, such as `--maxmemory 10mb`, one word each. */
  settings?: readonly string[]
  /** Whether it keeps an append-only file, and how soon that is on the disk. Default: none. */
  appendFsync?: 'everysec' | 'always'
  /** The folder in which its own is made, such as a small disk. Default: the system's for temporary files. */
  parentFolder?: string
}

/**
 * A Redis for one test file, of findRedisUnderTest: on a port of its own, empty, without persistence unless asked for. It
 * ends with the process that started it. Freezing needs a Redis that doesn't run in Docker.
 */
export async function startTestRedis({
  settings,
  appendFsync,
  parentFolder = tmpdir(),
}: TestRedisOptions = {}): Promise<SingleTestRedis> {
  const server = await findRedisUnderTest()
  const folder = await mkdtemp(join(parentFolder, 'vision-queue-redis-'))
  const options = {
    server,
    folder,
    persistent: appendFsync !== undefined,
    ...(appendFsync === undefined ? {} : { appendFsync }),
    ...(settings === undefined ? {} : { settings }),
    env: process.env,
  }
  let redis = await startRedis(options)
  const { url, port } = redis
  return {
    url,
    get pid() {
      return redis.pid
    },
    folder,
    freeze: () => redis.signal('SIGSTOP'),
    thaw: () => redis.signal('SIGCONT'),
    kill: () => redis.signal('SIGKILL'),
    async restart(signal, meanwhile = async () => {}) {
      redis.signal(signal)
      await redis.stop()
      await meanwhile()
      redis = await startRedis({ ...options, port })
    },
    async stop() {
      await redis.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
