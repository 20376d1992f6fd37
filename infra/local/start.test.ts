import { createServer } from 'node:net'
import { existsSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { askRedis, createStandIns, until, untilGone, type StandIns } from './test-support/stand-ins.ts'

let standIns: StandIns

beforeEach(async () => {
  standIns = await createStandIns()
})

afterEach(async () => {
  await standIns.close()
})

async function redisPid(port: number): Promise<number> {
  return Number(/process_id:(\d+)/.exec(await askRedis(port, 'INFO server'))?.[1])
}

test('a stop ends the API, then the consumers while Redis still answers, and leaves no process behind', async () => {
  const launcher = standIns.start({ CONSUMERS: '2' })
  await launcher.says('Ctrl-C stops everything')
  const port = await launcher.noted('redis port')
  const pids = [await launcher.noted('api'), await launcher.noted('consumer'), await redisPid(port)]

  launcher.process.kill('SIGTERM')

  expect(await launcher.exited).toBe(0)
  await untilGone(pids)
  const stops = (await launcher.trace()).filter((line) => line.includes('stops'))
  expect(stops).toEqual(['api stops', 'consumer stops, redis answers', 'consumer stops, redis answers'])
})

test('in one process the API and the first consumer start and stop together, and others are apart', async () => {
  const launcher = standIns.start({ COMPOSITION: 'one', CONSUMERS: '2' })
  await launcher.says('Ctrl-C stops everything')
  const port = await launcher.noted('redis port')
  const first = await launcher.noted('server')
  expect(await launcher.noted('api')).toBe(first)
  const consumers = (await launcher.trace()).filter((line) => line.startsWith('consumer '))
  expect(consumers).toContain(`consumer ${first}`)
  expect(new Set(consumers).size).toBe(2)
  process.kill(first, 'SIGKILL')
  await launcher.says('server runs again')
  await until(
    async () => (await launcher.noted('api')) !== first,
    () => 'another process',
  )
  const pids = [await launcher.noted('api'), await redisPid(port)]

  launcher.process.kill('SIGTERM')

  expect(await launcher.exited).toBe(0)
  await untilGone(pids)
  const stops = (await launcher.trace()).filter((line) => line.includes('stops'))
  expect(stops).toEqual(['api stops', 'consumer stops, redis answers'])
})

test('in one process without a consumer the API is alone', async () => {
  const launcher = standIns.start({ COMPOSITION: 'one', CONSUMERS: '0' })
  await launcher.says('Ctrl-C stops everything')
  expect((await launcher.trace()).filter((line) => /^(server|consumer) /.test(line))).toEqual([])
  expect(await launcher.noted('api')).toBeGreaterThan(0)
})

test('an app that is killed is started again, and the terminal says how it died', async () => {
  const launcher = standIns.start()
  await launcher.says('Ctrl-C stops everything')
  const [first, consumer] = [await launcher.noted('api'), await launcher.noted('consumer')]
  process.kill(first, 'SIGKILL')

  await launcher.says('api was killed by SIGKILL; it is started again in 0.5 s.')
  await launcher.says('api runs again')
  await until(
    async () => (await launcher.noted('api')) !== first,
    () => 'another API process',
  )
  expect(await launcher.noted('consumer')).toBe(consumer)
})

test('a Redis that is killed comes back on the same port with what it held', async () => {
  const launcher = standIns.start()
  await launcher.says('Ctrl-C stops everything')
  const port = await launcher.noted('redis port')
  await askRedis(port, 'SET kept yes')
  const first = await redisPid(port)
  // At most a second of writes may be lost; this one is to be on the disk.
  await until(
    async () => (await askRedis(port, 'INFO persistence')).includes('aof_pending_bio_fsync:0'),
    () => 'the write on disk',
  )
  process.kill(first, 'SIGKILL')

  await launcher.says('redis runs again')
  await until(
    async () => (await askRedis(port, 'GET kept').catch(() => '')).includes('yes'),
    () => 'the key',
  )
  expect(await redisPid(port)).not.toBe(first)
})

test('what was accepted survives a stop and a start', async () => {
  const first = standIns.start()
  await first.says('Ctrl-C stops everything')
  await askRedis(await first.noted('redis port'), 'SET kept yes')
  first.process.kill('SIGINT')
  expect(await first.exited).toBe(0)

  const second = standIns.start()
  await second.says('Ctrl-C stops everything')
  expect(await askRedis(await second.noted('redis port'), 'GET kept')).toContain('yes')
})

test('a taken port is refused in a sentence before anything is started', async () => {
  const other = createServer().listen(standIns.port, '127.0.0.1')
  await once(other, 'listening')
  const launcher = standIns.start()

  expect(await launcher.exited).toBe(1)
  other.close()
  expect(launcher.output()).toContain(`Port ${standIns.port} is taken by another program. Choose another one: PORT=`)
  expect(existsSync(join(standIns.folder, 'data/redis'))).toBe(false)
  expect(await launcher.trace()).toEqual([''])
})

test('bad settings are all named at once, and nothing is started', async () => {
  const launcher = standIns.start({ PORT: 'http', CONSUMERS: '-1' })

  expect(await launcher.exited).toBe(1)
  expect(launcher.output()).toContain('PORT: expected a whole number from 1 to 65535')
  expect(launcher.output()).toContain('CONSUMERS: expected a whole number from 0 to 64')
})

test('a second start on the same data is refused with the id of the first', async () => {
  const first = standIns.start()
  await first.says('Ctrl-C stops everything')
  const second = standIns.start({ PORT: '1' })

  expect(await second.exited).toBe(1)
  expect(second.output()).toContain(`already runs here, as process ${first.pid}`)
})

test('an app that ends by itself before it was ready ends the start, with its own message shown', async () => {
  const launcher = standIns.start({ API_FAILS: '1' })

  expect(await launcher.exited).toBe(1)
  expect(launcher.output()).toContain('[api] PORT: expected something else')
  expect(launcher.output()).toContain('api ended with exit code 1 before it was ready')
  await untilGone([await launcher.noted('consumer')].filter(Number.isInteger))
})

test('a killed launcher takes everything with it, also an app that does not listen, and the next start works', async () => {
  const first = standIns.start({ CONSUMER_STAYS: '1', SHUTDOWN_TIMEOUT_MS: '0' })
  await first.says('Ctrl-C stops everything')
  const port = await first.noted('redis port')
  const pids = [await first.noted('api'), await first.noted('consumer'), await redisPid(port)]
  await askRedis(port, 'SET kept yes')

  first.process.kill('SIGKILL')
  const second = standIns.start()
  await second.says('Ctrl-C stops everything')

  expect(second.output()).toContain('An earlier start was killed')
  await untilGone(pids)
  expect(await askRedis(await second.noted('redis port'), 'GET kept')).toContain('yes')
})

test('a second Ctrl-C kills at once what does not stop', async () => {
  const launcher = standIns.start({ CONSUMER_STAYS: '1', SHUTDOWN_TIMEOUT_MS: '3600000' })
  await launcher.says('Ctrl-C stops everything')
  const pids = [await launcher.noted('consumer'), await redisPid(await launcher.noted('redis port'))]

  launcher.process.kill('SIGINT')
  // npm passes the first one on: it must not count as a second.
  launcher.process.kill('SIGINT')
  await until(
    async () => (await launcher.trace()).includes('consumer stays'),
    () => 'a consumer that was asked to stop',
  )
  await delay(600)
  expect(launcher.process.exitCode).toBeNull()
  launcher.process.kill('SIGINT')

  expect(await launcher.exited).toBe(0)
  await untilGone(pids)
})

test('with a REDIS_URL no Redis is started', async () => {
  const owner = standIns.start()
  await owner.says('Ctrl-C stops everything')
  const port = await owner.noted('redis port')
  const other = await createStandIns()
  try {
    const launcher = other.start({ REDIS_URL: `redis://127.0.0.1:${port}` })
    await launcher.says('Ctrl-C stops everything')
    expect(launcher.output()).not.toContain('Redis runs')
    expect(await launcher.noted('redis port')).toBe(port)
  } finally {
    await other.close()
  }
})
