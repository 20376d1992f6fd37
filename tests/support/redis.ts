import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { findRedisServer } from '@vision-queue/local/find-redis'
import { startRedis } from '@vision-queue/local/redis-server'

export interface TestRedis {
  /** redis://127.0.0.1:port */
  url: string
  pid: number
  /** Ends it, frozen or not, and removes its folder. */
  stop(): Promise<void>
  /** It keeps its connections and answers nothing, as a hung host does. */
  freeze(): void
  thaw(): void
  /** SIGKILL, as the kernel does for want of memory. Call `stop` nevertheless, for the folder. */
  kill(): void
}

/**
 * A Redis for one test file: on a port of its own, empty, without persistence, found as `npm start` finds
 * it. It ends with the process that started it. Freezing needs a Redis that doesn't run in Docker.
 * `settings`: more of Redis' own, such as `--maxmemory 10mb`, one word each.
 */
export async function startTestRedis(settings: readonly string[] = []): Promise<TestRedis> {
  const cacheFolder = fileURLToPath(new URL('../../.vision-queue/redis-package', import.meta.url))
  const server = await findRedisServer({ cacheFolder, env: process.env, say: (line) => console.log(line) })
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-redis-'))
  const redis = await startRedis({ server, folder, persistent: false, env: process.env, settings })
  return {
    url: redis.url,
    pid: redis.pid,
    freeze: () => redis.signal('SIGSTOP'),
    thaw: () => redis.signal('SIGCONT'),
    kill: () => redis.signal('SIGKILL'),
    async stop() {
      await redis.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
