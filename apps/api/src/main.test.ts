import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

import { openDurableConnection } from '@vision-queue/redis'
import { startTestRedis } from '@vision-queue/test-support/redis'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'

import { png } from './test-support/images.ts'

const bundleRunner = createRequire(import.meta.url).resolve('@vision-queue/bundles/run')
const entry = fileURLToPath(new URL('main.ts', import.meta.url))
const listeningSchema = z.object({ kind: z.literal('listening'), port: z.int() })

interface Started {
  child: ChildProcess
  output: () => string
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
  return { child, output: () => output, exited }
}

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** An API whose Redis is away. */
async function startListening(): Promise<Started & { url: string; port: number }> {
  const started = start({ PORT: '0', REDIS_URL: `redis://127.0.0.1:${await closedPort()}` })
  const [message] = await once(started.child, 'message')
  const { port } = listeningSchema.parse(message)
  return { ...started, port, url: `http://127.0.0.1:${port}` }
}

test('every bad setting is named at once, and nothing starts', async () => {
  const { output, exited } = start({ PORT: 'http', REDIS_URL: 'localhost', LOG_LEVEL: 'loud' })
  expect(await exited).toBe(1)
  expect(output()).toContain('PORT: expected a whole number from 0 to 65535')
  expect(output()).toContain('REDIS_URL: expected redis://')
  expect(output()).toContain('LOG_LEVEL: expected fatal')
})

test('a taken port is one sentence and an exit', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.close()
  })
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const { output, exited } = start({ PORT: String(port), REDIS_URL: `redis://127.0.0.1:${await closedPort()}` })
  expect(await exited).toBe(1)
  expect(output()).toContain(`PORT: ${port} on 127.0.0.1 is taken by another program. Choose another one: PORT=`)
  expect(output()).not.toMatch(/^ +at /m)
})

test('without Redis the API is live, not ready, refuses at once, and stops on SIGTERM', async () => {
  const api = await startListening()
  expect((await fetch(`${api.url}/health`)).status).toBe(200)
  const ready = await fetch(`${api.url}/health/ready`)
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { status: 'not_ready', missing: ['redis'], detail: 'Redis does not answer.' },
  ])
  const refused = await fetch(`${api.url}/jobs?question=x`, {
    method: 'POST',
    headers: { 'Content-Type': 'image/png', Prefer: 'wait=60' },
    body: png,
  })
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
  expect(await (await fetch(`${api.url}/metrics`)).text()).toContain('vision_queue_redis_up 0\n')

  api.child.kill('SIGTERM')
  expect(await api.exited).toBe(0)
  expect(api.output()).toContain('"msg":"Closed"')
})

test('the end of its parent ends it, with clients connected', async () => {
  const api = await startListening()
  const socket = connect(api.port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  api.child.disconnect()
  expect(await api.exited).toBe(0)
})

test('it does not listen on a public address before there is a key; with Redis away it does, and lets nobody in', async () => {
  const redis = await startTestRedis()
  onTestFinished(() => redis.stop())
  const refused = start({ HOST: '0.0.0.0', PORT: '0', REDIS_URL: redis.url })
  expect(await refused.exited).toBe(1)
  expect(refused.output()).toContain('npm run -s vq -- keys create')

  const blind = start({ HOST: '0.0.0.0', PORT: '0', REDIS_URL: `redis://127.0.0.1:${await closedPort()}` })
  const [message] = await once(blind.child, 'message')
  const url = `http://127.0.0.1:${listeningSchema.parse(message).port}`
  expect((await fetch(`${url}/models`)).status).toBe(401)
  const headers = { Authorization: `Bearer vq_${'a'.repeat(12)}_${'b'.repeat(32)}` }
  expect((await fetch(`${url}/models`, { headers })).status).toBe(503)
})

test('a Redis that asks for a password is one sentence, without the one that was given, and an exit', async () => {
  const redis = await startTestRedis()
  onTestFinished(() => redis.stop())
  const quiet = { info() {}, warn() {}, error() {} }
  const admin = openDurableConnection({ redisUrl: redis.url, log: quiet, name: 'test' })
  await admin.call('CONFIG', 'SET', 'requirepass', 'right')
  admin.disconnect()
  const { host } = new URL(redis.url)
  for (const [url, said] of [
    [redis.url, 'Redis asks for a password that was not given. (NOAUTH)'],
    [`redis://:wrong@${host}`, 'Redis does not take the user name or password that it was given. (WRONGPASS)'],
  ] as const) {
    const { output, exited } = start({ PORT: '0', REDIS_URL: url })
    expect(await exited).toBe(1)
    expect(output()).toContain(`REDIS_URL: Redis at ${host}. ${said}`)
    expect(output()).not.toMatch(/^ +at |:wrong@/m)
  }
})

test('a Redis that is away is named once by its address; a variable that is nearly a setting is told', async () => {
  const port = await closedPort()
  const api = start({ PORT: '0', PRT: '3000', REDIS_URL: `redis://:secret@127.0.0.1:${port}` })
  await once(api.child, 'message')
  expect(api.output()).toContain(
    `REDIS_URL: Redis at 127.0.0.1:${port}. Nothing answers there (ECONNREFUSED): is Redis running?`,
  )
  expect(api.output()).toContain('PRT is set, and is no setting: is PORT meant?')
  expect(api.output()).not.toContain('secret')
})
