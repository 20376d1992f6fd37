import type { ConsumerAnnouncement } from '../announcement.ts'
import { type ModelManifest, noModelStats } from '@vision-queue/protocol'
import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

import { type Announcer, startAnnouncer } from '../worker/announcer.ts'
import { type ModelDirectory, openModelDirectory } from './model-directory.ts'

const quiet = { info() {}, warn() {}, error() {} }
const heartbeatMs = 100
let server: TestRedis
let redis: Redis
let directory: ModelDirectory

beforeAll(async () => {
  server = await startTestRedis()
  redis = new Redis(server.url)
  directory = openModelDirectory({ redisUrl: server.url, commandTimeoutMs: 1000, refreshMs: 0, log: quiet })
  await vi.waitFor(async () => directory.list())
})
afterAll(async () => {
  await directory.close()
  redis.disconnect()
  await server.stop()
})

function announcement(id: string): ConsumerAnnouncement {
  const manifest: ModelManifest = {
    name: 'm',
    version: '1',
    task: 'visual-question-answering',
    variant: 'fp32',
    provider: 'cpu',
    maxBatchSize: 8,
    inputSchema: {},
    parametersSchema: {},
    outputSchema: {},
    labels: null,
  }
  return {
    version: 2,
    id,
    startedAt: Date.now(),
    heartbeatAt: Date.now(),
    engines: 1,
    models: [
      {
        name: 'm',
        version: '1',
        status: 'ready',
        serving: true,
        error: null,
        manifest,
        engines: 1,
        stats: noModelStats,
      },
    ],
    aliases: {},
    process: { cpuSeconds: 0, engineCpuSeconds: 0, residentBytes: 0, eventLoopDelayMs: 0 },
  }
}

async function consumers(): Promise<string[] | undefined> {
  const [model] = await directory.list()
  return model?.consumers.map(({ id }) => id).toSorted()
}

test('consumers come and go, by leaving or by falling silent, and their model stays known', async () => {
  const options = { redis, heartbeatMs, log: quiet }
  const leaving = await startAnnouncer({ ...options, describe: () => announcement('leaving') })
  // A consumer that dies without a word: one announcement and no heartbeat after it.
  const dying = await startAnnouncer({ ...options, heartbeatMs: 100_000, describe: () => announcement('dying') })
  expect(await consumers()).toEqual(['dying', 'leaving'])
  await leaving.close()
  expect(await consumers()).toEqual(['dying'])
  await redis.pexpire('vq:consumer:dying', 1)
  await expect.poll(consumers).toEqual([])
  expect((await directory.list()).map(({ name }) => name)).toEqual(['m'])
  await dying.close()
})

test('a heartbeat keeps a consumer known for longer than its announcement lives', async () => {
  const announcer = await startAnnouncer({ redis, heartbeatMs, log: quiet, describe: () => announcement('beating') })
  const until = Date.now() + 6 * heartbeatMs
  while (Date.now() < until) expect(await consumers()).toEqual(['beating'])
  await announcer.close()
})

test('a consumer whose clock is an hour ahead hides none of the others', async () => {
  const hourMs = 3_600_000
  const ahead = (): ConsumerAnnouncement => ({ ...announcement('ahead'), heartbeatAt: Date.now() + hourMs })
  const fast = await startAnnouncer({ redis, heartbeatMs: 20, log: quiet, describe: ahead })
  const honest = await startAnnouncer({ redis, heartbeatMs, log: quiet, describe: () => announcement('honest') })
  const until = Date.now() + 4 * heartbeatMs
  while (Date.now() < until) expect(await consumers()).toEqual(['ahead', 'honest'])
  await Promise.all([fast.close(), honest.close()])
  // One that fell silent without a word is dropped all the same, in time.
  await redis.zadd('vq:consumers', Date.now() - hourMs, 'silent')
  const other = await startAnnouncer({ redis, heartbeatMs, log: quiet, describe: () => announcement('other') })
  expect(await redis.zrange('vq:consumers', '0', '-1')).toEqual(['other'])
  await other.close()
})

test('a queue has as many parts as all consumers of its model take from, and what was used is remembered', async () => {
  const parts = async (): Promise<number[]> => (await directory.list()).map(({ queueParts }) => queueParts)
  const open = async (id: string, queueParts?: number): Promise<Announcer> =>
    startAnnouncer({ redis, heartbeatMs: 10_000, log: quiet, describe: () => ({ ...announcement(id), queueParts }) })
  expect(await parts()).toEqual([1])
  const four = await open('four', 4)
  expect(await parts()).toEqual([4])
  const three = await open('three', 3)
  expect(await parts()).toEqual([3])
  // Of a release before.
  const old = await open('old')
  expect(await parts()).toEqual([1])
  await old.close()
  expect(await parts()).toEqual([3])
  await Promise.all([four.close(), three.close()])
  expect(await redis.hgetall('vq:model-parts')).toEqual({ m: '4' })
  // Whoever comes takes from all that were used.
  expect(await parts()).toEqual([4])
  await redis.del('vq:model-parts')
})

test('a manifest that did not change stays the same object', async () => {
  const [before] = await directory.list()
  const [after] = await directory.list()
  expect(after?.manifest).toBe(before?.manifest)
})

test('what cannot be read is left out, and hides nothing else', async () => {
  await redis.hset('vq:models', 'broken@1', '{"name":"broken"}', 'worse@1', '{')
  expect((await directory.list()).map(({ name }) => name)).toEqual(['m'])
})

test('a version that one consumer has ready is ready, with the other’s failure beside it; one never ready is known while its consumer lives', async () => {
  await redis.flushall()
  const failing = announcement('failing')
  const [model] = failing.models
  if (model === undefined) throw new Error('No model')
  const failed = { ...model, status: 'failed' as const, serving: false, error: 'It is broken.', manifest: null }
  failing.models = [failed, { ...failed, version: '2' }]
  failing.aliases = { m: { stable: '1', old: '0' } }
  const options = { redis, heartbeatMs: 10_000, log: quiet }
  const bad = await startAnnouncer({ ...options, describe: () => failing })
  expect((await directory.list()).map(({ version, status }) => [version, status])).toEqual([
    ['1', 'failed'],
    ['2', 'failed'],
  ])
  const good = await startAnnouncer({ ...options, describe: () => announcement('good') })
  expect(await directory.list()).toMatchObject([
    { version: '1', status: 'ready', error: 'It is broken.', serving: true, aliases: ['stable'] },
    { version: '2', status: 'failed', manifest: null, consumers: [], aliases: [] },
  ])
  expect(await consumers()).toEqual(['good'])
  await Promise.all([bad.close(), good.close()])
  expect(await directory.list()).toMatchObject([{ version: '1', status: 'no_consumers', reported: false }])
  await directory.order({ name: 'm', version: null, action: 'unload' })
  expect(await directory.list()).toMatchObject([{ version: '1', status: 'unloaded' }])
  expect(await directory.forget('m', '1')).toBe(true)
  expect(await directory.list()).toEqual([])
})

test('what an engine does that loads a version is known while its consumer says so', async () => {
  const loading = { step: 'warming_up', at: 1, of: 4, since: 1 } as const
  const told = announcement('loads')
  const models = told.models.map((model) => ({ ...model, status: 'loading' as const, manifest: null, loading }))
  const loads = await startAnnouncer({ redis, heartbeatMs: 10_000, log: quiet, describe: () => ({ ...told, models }) })
  const shown = async (): Promise<unknown> => (await directory.list()).find(({ version }) => version === '1')?.loading
  expect(await shown()).toEqual(loading)
  await loads.close()
  // It was never served: nothing of it is kept.
  expect(await shown()).toBeUndefined()
})

test('what a consumer got through is remembered when it is gone, until its version is forgotten', async () => {
  const remembered = async (): Promise<unknown> =>
    (await directory.list()).find(({ name, version }) => `${name}@${version}` === 'm@1')?.rememberedCapacity
  const measured = (id: string): ConsumerAnnouncement => {
    const told = announcement(id)
    const stats = { ...noModelStats, capacity: 300 }
    return { ...told, models: told.models.map((model) => Object.assign(model, { stats })) }
  }
  const consumer = await startAnnouncer({ redis, heartbeatMs, log: quiet, describe: () => measured('measured') })
  expect(await remembered()).toBe(300)
  await consumer.close()
  expect(await consumers()).toEqual([])
  expect(await remembered()).toBe(300)
  // One that has measured nothing yet takes nothing away.
  const fresh = await startAnnouncer({ redis, heartbeatMs, log: quiet, describe: () => announcement('fresh') })
  expect(await remembered()).toBe(300)
  await fresh.close()
  await directory.forget('m', '1')
  expect(await redis.exists('vq:model-capacities')).toBe(0)
})
