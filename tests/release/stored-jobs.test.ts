import { readdirSync, readFileSync } from 'node:fs'

import { answerOf, final } from '@vision-queue/test-support/client'
import { startTestRedis } from '@vision-queue/test-support/redis'
import { startSystem } from '@vision-queue/test-support/system'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'

import { type StoredJobs, storedJobsSchema } from './stored-jobs.ts'

/** What earlier releases left, written by record-jobs.ts. */
const recordings = readdirSync(new URL('.', import.meta.url))
  .filter((name) => name.startsWith('queued-by-'))
  .map((name) => storedJobsSchema.parse(JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'))))

test('there are recordings of more than one earlier release', () => {
  expect(recordings.length).toBeGreaterThan(1)
})

test.each(recordings)(
  'jobs that wait since $revision are answered by the consumers and APIs of now',
  async (recording) => {
    const redis = await startTestRedis()
    onTestFinished(async () => await redis.stop())
    await restore(redis.url, recording.keys)
    const system = await startSystem({ redis, composition: 'apart' })
    onTestFinished(async () => await system.stop())

    const seen = []
    for (const { id, form } of recording.jobs) {
      const job = await final(system.url, id)
      seen.push({ id, form, status: job.status, answer: answerOf(job) })
    }
    expect(seen).toEqual(recording.jobs.map((job) => ({ ...job, status: 'succeeded' })))
  },
)

async function restore(url: string, keys: StoredJobs['keys']): Promise<void> {
  const redis = new Redis(url)
  try {
    for (const { key, ttlMs, dump } of keys) await redis.restore(key, ttlMs, Buffer.from(dump, 'base64'))
  } finally {
    redis.disconnect()
  }
}
