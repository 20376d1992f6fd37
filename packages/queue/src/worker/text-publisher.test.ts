import { finalJob } from '../job-forms.ts'
import { jobChannel } from '../keys.ts'
import { startTestRedis, type TestRedis } from '@vision-queue/test-support/redis'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { type JobClient, openJobClient } from '../producer/job-client.ts'
import { createResultStore } from './result-store.ts'
import { blobs, newJob, quiet, retention } from '../test-support/test-queue.ts'
import { openTextPublisher } from './text-publisher.ts'

let server: TestRedis
let redis: Redis
let client: JobClient
const clients: JobClient[] = []

beforeAll(async () => {
  server = await startTestRedis()
  redis = new Redis(server.url)
  client = await connect()
})
afterAll(async () => {
  for (const opened of clients) await opened.close()
  redis.disconnect()
  await server.stop()
})

async function connect(): Promise<JobClient> {
  const limits = {
    maxJobs: 10,
    maxBytes: 10_000,
    payloadTtlMs: 60_000,
    answerMemoryBytes: 0,
    orphanCheckMs: 60_000,
    retention,
    listLength: 0,
  }
  const opened = openJobClient({ redisUrl: server.url, commandTimeoutMs: 500, log: quiet, ...limits })
  clients.push(opened)
  await vi.waitFor(async () => opened.ping())
  return opened
}

describe('an answer on its way', () => {
  const published = async (): Promise<number> =>
    Number(/cmdstat_publish:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0)

  test('comes to those who ask for it, whole each time, and not after the end', async () => {
    const job = newJob()
    await client.submit(job, blobs)
    const seen: string[] = []
    await client.watch(
      job.id,
      ({ status }) => seen.push(status),
      (text) => seen.push(text),
    )
    const plain: string[] = []
    await (await connect()).watch(job.id, ({ status }) => plain.push(status))
    const text = openTextPublisher({ redis, id: job.id, log: quiet })
    text.add({ text: 'a red', index: 0 })
    await expect.poll(() => seen).toEqual(['queued', 'a red'])
    text.add({ text: ' circle', index: 5 })
    await expect.poll(() => seen).toEqual(['queued', 'a red', 'a red circle'])
    // Its engine died, and the text begins anew.
    text.add({ text: 'a', index: 0 })
    text.add({ text: ' blue', index: 1 })
    text.add({ text: ' star', index: 6 })
    text.end()
    text.add({ text: ' too late', index: 11 })
    const results = createResultStore({ redis, retention, answerTtlMs: 0 })
    await results.finish(job, finalJob(job, { status: 'succeeded', attempts: 1 }, 60_000))
    await expect.poll(() => seen.slice(-2)).toEqual(['a blue star', 'succeeded'])
    await redis.publish(jobChannel(job.id), JSON.stringify({ kind: 'tokens', text: 'after the end' }))
    // Another subscription on the same connection comes after that message.
    await client.watch(newJob().id, () => {})
    expect(seen.at(-1)).toBe('succeeded')
    await expect.poll(() => plain).toEqual(['queued', 'succeeded'])
  })

  test('costs next to nothing while nobody listens, and is there for who comes late', async () => {
    const job = newJob()
    await client.submit(job, blobs)
    const text = openTextPublisher({ redis, id: job.id, log: quiet, quietMs: 50 })
    const before = await published()
    for (let index = 0; index < 1000; index += 1) text.add({ text: 'a', index })
    expect((await published()) - before).toBe(1)
    const seen: string[] = []
    await client.watch(
      job.id,
      () => {},
      (soFar) => seen.push(soFar),
    )
    let index = 1000
    await expect
      .poll(() => {
        text.add({ text: 'b', index })
        index += 1
        return seen[0]
      })
      .toMatch(/^a{1000}b+$/)
  })
})
