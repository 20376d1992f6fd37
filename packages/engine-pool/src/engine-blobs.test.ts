import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { type BlobAddress, createRedisBlobs } from '@vision-queue/blobs'
import { type BlobSource } from '@vision-queue/engine/messages'
import { openDurableConnection, type RedisClient } from '@vision-queue/redis'
import { startTestRedis, type SingleTestRedis } from '@vision-queue/test-support/redis'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'

import { openHere, openUnrulyPool, ask, closeUnrulyPools } from '../test/unruly-pool.ts'
import { ImagesUnreadError } from './inference.ts'

let server: SingleTestRedis
let redis: RedisClient
let redisUrl = ''
const password = 'engines-only'

beforeAll(async () => {
  server = await startTestRedis()
  const log = { info() {}, warn() {}, error() {} }
  redis = openDurableConnection({ redisUrl: server.url, log, name: 'test' })
  await allowEngines()
  redisUrl = server.url.replace('redis://', `redis://engine:${password}@`)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
})
afterEach(closeUnrulyPools)

/** The user's rights as docs/security.md has them. */
async function allowEngines(): Promise<void> {
  const text = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8')
  const [, rules = ''] = /^user vq-engine on >\S+ (.*)$/m.exec(text) ?? []
  await redis.call('ACL', 'SETUSER', 'engine', 'reset', 'on', `>${password}`, ...rules.split(' '))
}

/** A blob of so many bytes, as jobs name it. */
async function stored(bytes: number, space: string | null = null): Promise<BlobAddress & { bytes: number }> {
  const content = new Uint8Array(bytes).fill(bytes)
  const address = { space, hash: createHash('sha256').update(content).digest('hex') }
  await createRedisBlobs(redis).put(address, content, 60_000)
  return { ...address, bytes }
}

const source = (): BlobSource => ({ redisUrl, timeoutMs: 1000 })

describe.each([
  ['forked', openUnrulyPool],
  ['in process', openHere],
])('an engine (%s) that reads images itself', (_name, open) => {
  it('gives a model the images of a job in their order, however each of them comes', async () => {
    const pool = open({ blobs: source() })
    const images = [await stored(200_000), Uint8Array.of(1), await stored(3, 'somebody'), await stored(200_000)]
    expect(await ask(pool, 'images', { images })).toBe('200000 1 3 200000')
    const jobs = Array.from({ length: 30 }, async (_, index) => ask(pool, 'images', { images: [await stored(index)] }))
    expect(await Promise.all(jobs)).toEqual(Array.from({ length: 30 }, (_, index) => String(index)))
  })

  it('ends a job whose image is gone, and no other', async () => {
    const pool = open({ blobs: source() })
    const gone = { space: null, hash: 'f'.repeat(64), bytes: 5 }
    const there = await stored(5)
    const lost = ask(pool, 'images', { images: [there, gone] })
    await expect(lost).rejects.toMatchObject({ code: 'payload_expired' })
    expect(await ask(pool, 'images', { images: [there] })).toBe('5')
  })

  it('hands a job back unread and uncounted where it was told of no Redis, or of one that refuses', async () => {
    const images = [await stored(5)]
    const wrong = { redisUrl: redisUrl.replace(password, 'wrong'), timeoutMs: 1000 }
    for (const blobs of [undefined, wrong]) {
      const pool = open({ blobs })
      await expect(ask(pool, 'images', { images })).rejects.toBeInstanceOf(ImagesUnreadError)
      expect(await ask(pool, 'images', { images: [Uint8Array.of(1)] })).toBe('1')
      expect(pool.stats().jobs).toEqual({ succeeded: 1 })
    }
  })
})

it('an engine in this process ends its connection with its pool', async () => {
  const readers = async (): Promise<number> =>
    String(await redis.call('CLIENT', 'LIST')).split('name=vision-queue-engine ').length - 1
  const pool = openHere({ blobs: source() })
  expect(await ask(pool, 'images', { images: [await stored(5)] })).toBe('5')
  expect(await readers()).toBe(1)
  await pool.close({ deadlineMs: 0 })
  await vi.waitFor(async () => expect(await readers()).toBe(0), 10_000)
})

it('hands jobs back while Redis is away or hangs, and reads again when it is back', async () => {
  const pool = openUnrulyPool({ blobs: source() })
  const images = [await stored(5)]
  expect(await ask(pool, 'images', { images })).toBe('5')
  server.freeze()
  await expect(ask(pool, 'images', { images })).rejects.toBeInstanceOf(ImagesUnreadError)
  server.thaw()
  await vi.waitFor(async () => expect(await ask(pool, 'images', { images })).toBe('5'), 20_000)
  await server.restart('SIGKILL', async () => {
    await expect(ask(pool, 'images', { images })).rejects.toBeInstanceOf(ImagesUnreadError)
  })
  await allowEngines()
  await stored(5)
  await vi.waitFor(async () => expect(await ask(pool, 'images', { images })).toBe('5'), 20_000)
  expect(pool.stats().engineRestarts).toBe(0)
})

it('an engine that was started again reads, too', async () => {
  const pool = openUnrulyPool({ blobs: source() })
  const images = [await stored(5)]
  expect(await ask(pool, 'images', { images })).toBe('5')
  const [pid = 0] = pool.pids
  process.kill(pid, 'SIGKILL')
  await vi.waitFor(() => expect(pool.pids).not.toContain(pid), 20_000)
  expect(await ask(pool, 'images', { images })).toBe('5')
})

it.runIf(process.platform === 'linux')('is told the password where no other process can read it', async () => {
  const pool = openUnrulyPool({ blobs: source() })
  expect(await ask(pool, 'images', { images: [await stored(5)] })).toBe('5')
  const [pid = 0] = pool.pids
  const readable = ['cmdline', 'environ', 'comm'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1'))
  expect(readable.join('')).not.toContain(password)
})
