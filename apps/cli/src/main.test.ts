import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { openApiKeys } from '@vision-queue/queue/producer'
import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

const bin = fileURLToPath(new URL('../bin/vq.js', import.meta.url))
let redis: TestRedis

beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(async () => {
  await redis.stop()
})

async function vq(line: string, env: Record<string, string> = {}) {
  return new Promise<{ code: number | string | null | undefined; stdout: string; stderr: string }>((resolve) => {
    const options = { env: { PATH: process.env['PATH'] ?? '', REDIS_URL: redis.url, ...env } }
    execFile(process.execPath, [bin, ...line.split(' ')], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr })
    })
  })
}

test('a key is printed once, opens, is listed without its secret, and opens nothing when revoked', async () => {
  const made = await vq('keys create --name shop --scopes submit,read --max-jobs 7')
  expect(made.stdout).toMatch(/^vq_[0-9A-Za-z]{12}_[0-9A-Za-z]{32}\n$/)
  const key = made.stdout.trim()
  const [, id = '', secret = ''] = key.split('_')
  expect(made.stderr).not.toContain(secret)

  const quiet = { info() {}, warn() {}, error() {} }
  const keys = openApiKeys({ redisUrl: redis.url, commandTimeoutMs: 1000, cacheMs: 0, log: quiet })
  onTestFinished(() => keys.close())
  await expect.poll(async () => keys.hasUsable(1000)).toBe(true)
  expect(await keys.verify(key)).toMatchObject({ id, name: 'shop', limits: { maxJobs: 7 } })

  for (const listed of [await vq('keys list'), await vq('keys list --json')]) {
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining(id) })
    expect(listed.stdout).not.toContain(secret)
    expect(listed.stdout).not.toContain('digest')
  }
  expect((await vq(`keys revoke ${id}`)).code).toBe(0)
  expect(await keys.verify(key)).toBeNull()
  expect((await vq('keys list')).stdout).toContain('revoked')
  expect((await vq(`keys revoke ${id}`)).code).toBe(1)
})

test('what can not be understood exits with 2 and says how it is used; a Redis that is away with 1', async () => {
  expect(await vq('keys make')).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringContaining('vq keys create'),
  })
  const away = await vq('keys list', { REDIS_URL: 'redis://127.0.0.1:1', REDIS_COMMAND_TIMEOUT_MS: '300' })
  expect(away).toMatchObject({ code: 1, stderr: expect.stringContaining('REDIS_URL') })
})
