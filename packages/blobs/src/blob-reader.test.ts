import { readFileSync } from 'node:fs'

import { openDurableConnection, type RedisClient } from '@vision-queue/redis'
import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { ask, startTestCluster, whyNoRedisGroups } from '@vision-queue/test-support/redis-groups'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { type BlobReader, openBlobReader } from './blob-reader.ts'
import { createRedisBlobs } from './redis-blobs.ts'

const noGroups = await whyNoRedisGroups()
if (noGroups !== null) console.warn(`Blobs are not read from a Redis Cluster here. ${noGroups}`)

const text = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8')
const [, rules = ''] = /^user vq-engine on >\S+ (.*)$/m.exec(text) ?? []
const quiet = { info() {}, warn() {}, error() {} }
const addressOf = (index: number) => ({ space: index % 2 === 0 ? null : 'key', hash: String(index).padStart(64, '0') })

describe.each([
  ['Redis', async () => startTestRedis(), false],
  ['a Redis Cluster', async () => startTestCluster(), noGroups !== null],
] as const)('the blobs in %s', (_name, start, skipped) => {
  describe.skipIf(skipped)('read by the user of docs/security.md', () => {
    let server: TestRedis
    let redis: RedisClient
    let reader: BlobReader
    let ports: number[] = []

    beforeAll(async () => {
      server = await start()
      ports = [...server.url.matchAll(/:(\d+)/g)].map(([, port]) => Number(port))
      for (const port of ports)
        await ask(port, 'ACL', 'SETUSER', 'engine', 'reset', 'on', '>secret', ...rules.split(' '))
      redis = openDurableConnection({ redisUrl: server.url, log: quiet, name: 'test' })
      const blobs = createRedisBlobs(redis)
      const put = async (index: number) => blobs.put(addressOf(index), new Uint8Array(1000).fill(index), 60_000)
      await Promise.all(Array.from({ length: 50 }, async (_, index) => put(index)))
      reader = openBlobReader({ redisUrl: server.url.replace('://', '://engine:secret@'), timeoutMs: 5000 })
    })
    afterAll(async () => {
      reader.close()
      redis.disconnect()
      await server.stop()
    })

    async function readsOfAll(): Promise<number> {
      const infos = await Promise.all(ports.map(async (port) => ask(port, 'INFO', 'stats')))
      return infos.reduce((sum, info) => sum + Number(/^total_reads_processed:(\d+)/m.exec(info)?.[1] ?? 0), 0)
    }

    test('are there or not, and nothing was denied on the way', async () => {
      expect(await reader.read(addressOf(7), 1000)).toEqual(Buffer.alloc(1000, 7))
      expect(await reader.read({ space: 'another', hash: addressOf(7).hash }, 1000)).toBeNull()
      for (const port of ports) expect(await ask(port, 'ACL', 'LOG')).toBe('*0\r\n')
    })

    test('and are asked for in one write for each node where they are wanted in one turn', async () => {
      const readAll = async () =>
        Promise.all(Array.from({ length: 50 }, async (_, i) => reader.read(addressOf(i), 1000)))
      await readAll()
      const before = await readsOfAll()
      expect((await readAll()).map((bytes) => bytes?.[999])).toEqual(Array.from({ length: 50 }, (_, index) => index))
      // One each, and what the questions cost.
      expect((await readsOfAll()) - before).toBeLessThanOrEqual(4 * ports.length)
    })
  })
})

test('where nobody answers, a read is rejected soon', async () => {
  const reader = openBlobReader({ redisUrl: 'redis://127.0.0.1:1', timeoutMs: 1000 })
  await expect(reader.read(addressOf(1), 1000)).rejects.toThrow(/writeable|closed/)
  reader.close()
})
