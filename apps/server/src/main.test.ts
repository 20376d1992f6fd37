import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

import { startTestRedis } from '@vision-queue/test-support/redis'
import { expect, onTestFinished, test } from 'vitest'

const bundleRunner = createRequire(import.meta.url).resolve('@vision-queue/bundles/run')
const entry = fileURLToPath(new URL('main.ts', import.meta.url))

interface Started {
  output: () => string
  signal: (name: NodeJS.Signals) => void
  /** What it tells its parent. */
  message: Promise<unknown>
  exited: Promise<number | null>
}

function start(env: Record<string, string>): Started {
  const child = fork(bundleRunner, [entry], { execArgv: [], env: { ...env }, silent: true })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exited = once(child, 'exit').then(() => child.exitCode)
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const message = once(child, 'message').then(([told]: unknown[]) => told)
  return { output: () => output, signal: (name) => void child.kill(name), message, exited }
}

test('the bad settings of the API and of the consumer are named at once, those of both once', async () => {
  const { output, exited } = start({ PORT: 'http', ENGINES: 'many', SHUTDOWN_TIMEOUT_MS: '-1', REDIS_URL: 'localhost' })
  expect(await exited).toBe(1)
  expect(output()).toContain('PORT: expected a whole number from 0 to 65535')
  expect(output()).toContain('ENGINES: expected a whole number from 0 to 256')
  for (const name of ['REDIS_URL', 'SHUTDOWN_TIMEOUT_MS']) expect(output().split(`${name}:`)).toHaveLength(2)
})

test('where the API can not listen, the consumer does not stay', async () => {
  const redis = await startTestRedis()
  onTestFinished(() => redis.stop())
  const other = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void other.close())
  await once(other, 'listening')
  const address = other.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const { output, exited } = start({ PORT: String(port), REDIS_URL: redis.url, MODELS: 'shapes-vqa' })
  expect(await exited).toBe(1)
  expect(output()).toContain(`PORT: ${port} on 127.0.0.1 is taken`)
  expect(output()).not.toMatch(/^ +at /m)
})

test('where the consumer can not start, the API does not stay', async () => {
  const redis = await startTestRedis()
  onTestFinished(() => redis.stop())
  const { output, exited } = start({ PORT: '0', REDIS_URL: redis.url, REQUIRE_PROVIDER: 'coreml' })
  expect(await exited).toBe(1)
  expect(output()).toContain('REQUIRE_PROVIDER=coreml')
})

test('while Redis is away it listens, and stops on SIGTERM', async () => {
  const server = start({ PORT: '0', REDIS_URL: 'redis://127.0.0.1:1' })
  await server.message
  server.signal('SIGTERM')
  expect(await server.exited).toBe(0)
  expect(server.output()).toContain('"msg":"Closed"')
})
