import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { findRedisServer, type RedisServer } from './find-redis.ts'
import { startRedis, type RunningRedis } from './redis-server.ts'
import { askRedis, untilGone } from './test-support/stand-ins.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

let server: RedisServer
let folder: string

beforeEach(async () => {
  const cacheFolder = join(root, '.vision-queue/redis-package')
  server = await findRedisServer({ cacheFolder, env: process.env, say: () => undefined })
  folder = await mkdtemp(join(tmpdir(), 'vision-queue-redis-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

async function start(port?: number): Promise<RunningRedis> {
  const wanted = port === undefined ? {} : { port }
  return await startRedis({ server, folder, persistent: false, env: process.env, ...wanted })
}

test('two that start at once get ports of their own, are empty, and refuse rather than forget', async () => {
  const [one, other] = await Promise.all([start(), start()])
  await askRedis(one.port, 'SET mine yes')

  expect(await askRedis(other.port, 'DBSIZE')).toContain(':0')
  expect(await askRedis(one.port, 'CONFIG GET maxmemory-policy')).toContain('noeviction')
  await Promise.all([one.stop(), other.stop()])
})

test('a frozen or killed one stops too, and is gone', async () => {
  const [frozen, killed] = await Promise.all([start(), start()])
  frozen.signal('SIGSTOP')
  killed.signal('SIGKILL')
  await Promise.all([frozen.stop(), killed.stop()])

  await untilGone([frozen.pid, killed.pid])
  await expect(askRedis(frozen.port, 'PING')).rejects.toThrow('ECONNREFUSED')
})

test("another server's answer on the wanted port is not taken for ours", async () => {
  const other = await start()

  await expect(start(other.port)).rejects.toThrow(/ended with exit code 1: .*[Aa]ddress already in use/)
  await other.stop()
})

test('a Redis does not outlive the process that started it, however that ends', async () => {
  const options = JSON.stringify({ server, folder, persistent: false, env: process.env })
  const script = `
    const { startRedis } = await import('./infra/local/redis-server.ts')
    const { pid } = await startRedis(${options})
    console.log('pid ' + pid)
    setInterval(() => undefined, 1000)`
  const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { cwd: root })
  const [text] = await once(owner.stdout, 'data')
  const pid = Number(/pid (\d+)/.exec(String(text))?.[1])
  owner.kill('SIGKILL')

  expect(pid).toBeGreaterThan(0)
  await untilGone([pid])
})
