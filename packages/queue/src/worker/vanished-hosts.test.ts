import { expect, test, vi } from 'vitest'

import { openDurableConnection, openFailFastConnection, openSubscriber } from '@vision-queue/redis'
import { openSilentProxy, type SilentProxy } from '@vision-queue/redis'
import { blobs, newJob, quiet, useTestQueue } from '../test-support/test-queue.ts'

const server = useTestQueue()

async function openProxy(): Promise<SilentProxy> {
  const proxy = await openSilentProxy(server.url)
  server.atEnd(() => proxy.close())
  return proxy
}

test('a command whose other end vanished is answered on another connection, where it may wait', async () => {
  const proxy = await openProxy()
  const redis = openDurableConnection({ redisUrl: proxy.url, log: quiet, name: 'test', silenceMs: 300 })
  server.atEnd(() => redis.disconnect())
  await redis.set('key', 'value')
  proxy.silence()
  expect(await redis.get('key')).toBe('value')
  expect(proxy.count()).toBe(2)
})

test('a Redis that pauses for less than the silence is sat out on the same connection', async () => {
  const proxy = await openProxy()
  const redis = openDurableConnection({ redisUrl: proxy.url, log: quiet, name: 'test', silenceMs: 5000 })
  server.atEnd(() => redis.disconnect())
  await redis.set('key', 'value')
  await server.redis.client('PAUSE', 700)
  expect(await redis.get('key')).toBe('value')
  expect(proxy.count()).toBe(1)
})

test('where nobody may wait it is rejected in time, and later commands find another connection', async () => {
  const proxy = await openProxy()
  const redis = openFailFastConnection({ redisUrl: proxy.url, log: quiet, name: 'test', commandTimeoutMs: 200 })
  server.atEnd(() => redis.disconnect())
  await vi.waitFor(async () => redis.ping())
  proxy.silence()
  await expect(redis.ping()).rejects.toThrow('timed out')
  await vi.waitFor(async () => expect(await redis.ping()).toBe('PONG'), 5000)
})

test('a subscriber finds out that its other end vanished, and hears again', async () => {
  const proxy = await openProxy()
  const redis = openSubscriber({ redisUrl: proxy.url, log: quiet, name: 'test', commandTimeoutMs: 100 })
  server.atEnd(() => redis.disconnect())
  await vi.waitFor(() => expect(redis.status).toBe('ready'))
  await redis.subscribe('channel')
  const heard: string[] = []
  redis.on('message', (_, message: string) => heard.push(message))
  proxy.silence()
  await vi.waitFor(
    async () => {
      await server.redis.publish('channel', 'hello')
      expect(heard).toContain('hello')
    },
    { timeout: 10_000, interval: 100 },
  )
})

test('a consumer whose blocking read vanished takes the next job', async () => {
  const proxy = await openProxy()
  const taken: string[] = []
  server.consume(
    async ({ id }) => {
      taken.push(id)
      return { kind: 'done' }
    },
    { redisUrl: proxy.url },
  )
  const [first, second] = [newJob(), newJob()]
  await server.client.submit(first, blobs)
  await vi.waitFor(() => expect(taken).toEqual([first.id]), 5000)
  // Let it come back to its blocking read.
  await vi.waitFor(async () => expect(await server.redis.client('LIST')).toMatch(/ flags=b .*cmd=bzpopmin/), 5000)
  proxy.silence('bzpopmin')
  await server.client.submit(second, blobs)
  await vi.waitFor(() => expect(taken).toEqual([first.id, second.id]), 20_000)
})

test('what one turn of the event loop sends arrives in few pieces', async () => {
  const redis = openDurableConnection({ redisUrl: server.url, log: quiet, name: 'test' })
  server.atEnd(() => redis.disconnect())
  await redis.ping()
  const reads = async (): Promise<number> =>
    Number(/^total_reads_processed:(\d+)/m.exec(await redis.info('stats'))?.[1] ?? 0)
  const before = await reads()
  await Promise.all(Array.from({ length: 100 }, async () => redis.ping()))
  expect((await reads()) - before).toBeLessThan(20)
})
