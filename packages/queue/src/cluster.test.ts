import { ask, startTestCluster, type TestRedisGroup, whyNoRedisGroups } from '@vision-queue/test-support/redis-groups'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { jobChangeSchema } from './job-change.ts'
import { openJobClient } from './producer/job-client.ts'
import { openJobSource } from './worker/job-source.ts'
import { raiseParts } from './queue-places.ts'
import { openPartedSource } from './worker/parted-source.ts'
import { assertNoEviction, openDurableConnection, openSubscriber, type RedisClient } from '@vision-queue/redis'
import { createResultStore } from './worker/result-store.ts'
import { blobs, image, limits, newJob, quiet, retention, succeeded } from './test-support/test-queue.ts'
import { type TestClient, testClient } from './test-support/job-watch.ts'
import { createTextLog, readLoggedText } from './text-log.ts'
import { openTextPublisher } from './worker/text-publisher.ts'

const reason = await whyNoRedisGroups()
if (reason !== null) console.warn(`The tests of connections to a Redis Cluster are skipped. ${reason}`)

describe.skipIf(reason !== null)('on a Redis Cluster', () => {
  let group: TestRedisGroup
  let redis: RedisClient
  let client: TestClient

  beforeAll(async () => {
    group = await startTestCluster()
    redis = openDurableConnection({ redisUrl: group.url, log: quiet, name: 'test' })
    client = testClient(
      openJobClient({
        redisUrl: group.url,
        commandTimeoutMs: 500,
        log: quiet,
        ...limits,
        maxJobs: 1000,
        maxBytes: 100_000,
      }),
    )
    await vi.waitFor(async () => client.ping())
  })
  afterAll(async () => {
    await client.close()
    redis.disconnect()
    await group.stop()
  })

  async function readsOfAll(): Promise<number> {
    const infos = await Promise.all(group.members.map(async ({ port }) => ask(port, 'INFO', 'stats')))
    return infos.reduce((sum, info) => sum + Number(/^total_reads_processed:(\d+)/m.exec(info)?.[1] ?? 0), 0)
  }

  test('what one turn of the event loop sends arrives in few pieces at each node', async () => {
    const keys = Array.from({ length: 300 }, (_, index) => `key-${index}`)
    await Promise.all(keys.map(async (key) => redis.get(key)))
    const before = await readsOfAll()
    await Promise.all(keys.map(async (key) => redis.get(key)))
    // Asking costs a few itself.
    expect((await readsOfAll()) - before).toBeLessThan(30)
  })

  test('one node that would evict accepted jobs is enough to be refused', async () => {
    await expect(assertNoEviction(redis)).resolves.toBeUndefined()
    const port = group.members[1]?.port ?? 0
    await ask(port, 'CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru')
    await expect(assertNoEviction(redis)).rejects.toThrow(/volatile-lru.*noeviction/s)
    expect(await client.evictionPolicy()).toBe('volatile-lru')
    await ask(port, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    expect(await client.evictionPolicy()).toBeNull()
  })

  test('requests with one Idempotency-Key are one job', async () => {
    const owner = 'somebody'
    for (const key of ['a', 'b', 'c']) {
      const ids = await Promise.all(
        Array.from({ length: 5 }, async () => {
          const claimed = await client.claim({ owner, key, digest: 'd', leaseMs: 5000 })
          if (claimed.kind === 'known') return claimed.job.id
          const { claim } = claimed
          const { job } = await client.submit({ ...newJob(), id: claim.id, owner }, blobs, { claim })
          return job.id
        }),
      )
      expect(new Set(ids).size).toBe(1)
      await client.of(owner).cancel(ids[0] ?? '')
    }
  })

  test('jobs of many models, in slots of all nodes, are taken, answered and read', async () => {
    const results = createResultStore({ redis, retention, answerTtlMs: 60_000 })
    const models = ['a', 'b', 'c', 'd', 'e', 'f']
    const sources = models.map((model) =>
      openJobSource({
        redisUrl: group.url,
        model,
        concurrency: 4,
        lockMs: 2000,
        stalledCheckMs: 500,
        async handle({ job, readBlobs }) {
          if (job === null) throw new Error('not a job')
          const bytes = await readBlobs(job)
          await results.finish(job, succeeded(job, `${job.model} ${bytes?.[0]?.length ?? 0}`))
          return { kind: 'done' }
        },
        giveUp: async () => {},
        log: quiet,
      }),
    )
    try {
      const jobs = models.map((model) => ({ ...newJob(), model }))
      const waited = await Promise.all(
        jobs.map(async (job, index) => {
          if (index % 2 === 0) return (await client.submitAndWait(job, blobs, { timeoutMs: 20_000 })).job
          await client.submit(job, blobs)
          return client.waitFor(job.id, 20_000)
        }),
      )
      expect(waited.map((job) => job?.output)).toEqual(models.map((model) => ({ answer: `${model} ${image.length}` })))
      expect(await Promise.all(jobs.map(async ({ id }) => client.read(id)))).toEqual(waited)
      expect(await Promise.all(models.map(async (model) => (await client.depth(model)).jobs))).toEqual(
        models.map(() => 0),
      )
    } finally {
      await Promise.all(sources.map(async (source) => source.close()))
    }
  })

  test('a queue in parts lies on several nodes, each of which has its share of the jobs', async () => {
    const results = createResultStore({ redis, retention, answerTtlMs: 60_000 })
    const model = 'spread'
    const parts = 6
    await raiseParts(redis, [model], parts)
    const jobs = Array.from({ length: 60 }, () => ({ ...newJob(), model }))
    await Promise.all(jobs.map(async (job) => client.submit(job, blobs, { parts })))
    expect(await client.depth(model)).toEqual({ jobs: 60, bytes: 60 * image.length })
    const waiting = await Promise.all(
      group.members.map(async ({ port }) => ask(port, 'KEYS', `vq:{${model}*}:jobs:prioritized`)),
    )
    expect(waiting.filter((reply) => reply.includes(model)).length).toBeGreaterThan(1)
    const source = openPartedSource({
      redisUrl: group.url,
      model,
      parts,
      concurrency: 12,
      lockMs: 2000,
      stalledCheckMs: 500,
      async handle({ job, readBlobs }) {
        if (job === null || (await readBlobs(job)) === null) throw new Error('A job or its image is lost')
        return { kind: 'done', ending: results.endOf(job, succeeded(job, job.id)) }
      },
      giveUp: async () => {},
      log: quiet,
    })
    try {
      const ended = await Promise.all(jobs.map(async ({ id }) => client.waitFor(id, 20_000)))
      expect(ended.map((job) => job?.output)).toEqual(jobs.map(({ id }) => ({ answer: id })))
      await vi.waitFor(async () => expect(await client.depth(model)).toEqual({ jobs: 0, bytes: 0 }))
      await expect(client.probeWrite([model])).resolves.toBeUndefined()
    } finally {
      await source.close()
    }
  })

  test('a text that grows is heard in order, whichever node the listener is connected to', async () => {
    const { id } = newJob()
    const heard: string[][] = []
    const subscribers = await Promise.all(
      group.members.map(async ({ port }) => {
        const redisUrl = `redis+cluster://127.0.0.1:${port}`
        const subscriber = openSubscriber({ redisUrl, log: quiet, name: 'test', commandTimeoutMs: 1000 })
        await vi.waitFor(() => expect(subscriber.status).toBe('ready'))
        await subscriber.subscribe(`vq:changes:${id}`)
        const texts: string[] = []
        heard.push(texts)
        subscriber.on('message', (_, message: string) => {
          const change = jobChangeSchema.parse(JSON.parse(message))
          if (change.kind === 'piece') texts.push(`${texts.at(-1) ?? ''}${change.text}`)
        })
        return subscriber
      }),
    )
    try {
      const publisher = openTextPublisher({ textLog: createTextLog(redis), id, log: quiet })
      for (let index = 0; index < 200; index += 1) {
        publisher.add({ text: 'x', index })
        if (index % 20 === 0) await redis.get('anything')
      }
      publisher.end()
      await vi.waitFor(() => expect(heard.map((texts) => texts.at(-1)?.length)).toEqual([200, 200, 200]))
      for (const texts of heard) expect(texts).toEqual([...texts].toSorted((a, b) => a.length - b.length))
      expect(heard[0]?.length).toBeGreaterThan(2)
      const logged = await readLoggedText(redis, id)
      expect(logged?.pieces.map(({ text }) => text).join('')).toBe('x'.repeat(200))
    } finally {
      for (const subscriber of subscribers) subscriber.disconnect()
    }
  })
})
