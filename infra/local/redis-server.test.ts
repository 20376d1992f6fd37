import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

import { startTestRedis } from '../../tests/support/redis.ts'
import { findRedisServer } from './find-redis.ts'
import { startRedis } from './redis-server.ts'
import { askRedis, untilGone } from './test-support/stand-ins.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('each test Redis is its own, empty, and refuses rather than forgets', async () => {
  const [one, other] = await Promise.all([startTestRedis(), startTestRedis()])
  await askRedis(Number(new URL(one.url).port), 'SET mine yes')

  expect(await askRedis(Number(new URL(other.url).port), 'DBSIZE')).toContain(':0')
  expect(await askRedis(Number(new URL(one.url).port), 'CONFIG GET maxmemory-policy')).toContain('noeviction')
  await Promise.all([one.stop(), other.stop()])
})

test('a frozen or killed test Redis stops too, and is gone', async () => {
  const [frozen, killed] = await Promise.all([startTestRedis(), startTestRedis()])
  frozen.freeze()
  killed.kill()
  await Promise.all([frozen.stop(), killed.stop()])

  await untilGone([frozen.pid, killed.pid])
  await expect(askRedis(Number(new URL(frozen.url).port), 'PING')).rejects.toThrow('ECONNREFUSED')
})

test("another server's answer on the wanted port is not taken for ours", async () => {
  const other = await startTestRedis()
  const folder = await mkdtemp(join(tmpdir(), 'vision-queue-redis-'))
  const cacheFolder = join(root, '.vision-queue/redis-package')
  const server = await findRedisServer({ cacheFolder, env: process.env, say: () => undefined })
  const port = Number(new URL(other.url).port)
  const attempt = startRedis({ server, folder, port, persistent: false, env: process.env })

  await expect(attempt).rejects.toThrow(/ended with exit code 1: .*[Aa]ddress already in use/)
  await other.stop()
  await rm(folder, { recursive: true })
})

test('a Redis does not outlive the process that started it, however that ends', async () => {
  const script = `
    const { startTestRedis } = await import('./tests/support/redis.ts')
    const { pid } = await startTestRedis()
    console.log('pid ' + pid)
    setInterval(() => undefined, 1000)`
  const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { cwd: root })
  const [text] = await once(owner.stdout, 'data')
  const pid = Number(/pid (\d+)/.exec(String(text))?.[1])
  owner.kill('SIGKILL')

  expect(pid).toBeGreaterThan(0)
  await untilGone([pid])
})
