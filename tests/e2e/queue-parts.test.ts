import { fileURLToPath } from 'node:url'

import { answerOf, final, read, submit } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { until } from '@vision-queue/test-support/until'
import { openDurableConnection, type RedisClient } from '@vision-queue/redis'
import { afterEach, expect, test } from 'vitest'

const examples = readExamples()
const unrulyEngine = fileURLToPath(new URL('unruly/engine.ts', import.meta.url))
const quiet = { info() {}, warn() {}, error() {} }

let system: System
let redis: RedisClient
afterEach(async () => {
  redis.disconnect()
  await system.stop()
})

async function start(parts: number): Promise<void> {
  system = await startSystem({
    engineEntry: unrulyEngine,
    apis: 2,
    consumerEnv: { ENGINES: '1', LOCK_MS: '2000', STALLED_CHECK_MS: '500', QUEUE_PARTS: String(parts) },
  })
  redis = openDurableConnection({ redisUrl: system.redis.url, log: quiet, name: 'test' })
}

async function submitMany(count: number, more = ''): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const example = examples[index % examples.length]
      if (example === undefined) throw new Error('No examples')
      return submit(system.url, { ...example, question: `${example.question} ${more}`.trim() })
    }),
  )
}

/** How many unfinished jobs are in each of the first three parts. */
async function spread(): Promise<number[]> {
  const places = ['shapes-vqa', 'shapes-vqa#1', 'shapes-vqa#2']
  return Promise.all(places.map(async (place) => redis.zcard(`vq:{${place}}:admitted`)))
}

test('all jobs of a queue in three parts are answered, and rightly', async () => {
  await start(3)
  const ids = await submitMany(examples.length)
  const jobs = await Promise.all(ids.map(async (id) => final(system.apis.at(-1)?.url ?? '', id)))
  expect(jobs.map(({ status }) => status)).toEqual(ids.map(() => 'succeeded'))
  const right = jobs.filter((job, index) => answerOf(job) === examples[index]?.answer)
  expect(right.length / jobs.length).toBeGreaterThan(0.9)
  expect(await spread()).toEqual([0, 0, 0])
})

test('a consumer killed with -9, and one that comes after it with a single part, leave no job in any part', async () => {
  await start(3)
  const ids = await submitMany(48, '(block 200)')
  expect((await spread()).every((count) => count > 0)).toBe(true)
  await until(
    async () =>
      (await Promise.all(ids.map(async (id) => read(system.apis[1]?.url ?? '', id)))).some(
        ({ status }) => status === 'running',
      ),
    'a job runs',
  )
  system.consumers[0]?.signal('SIGKILL')
  await system.addConsumer({ QUEUE_PARTS: '1' })
  const jobs = await Promise.all(ids.map(async (id) => final(system.apis.at(-1)?.url ?? '', id)))
  expect(jobs.map(({ status }) => status)).toEqual(ids.map(() => 'succeeded'))
  expect(jobs.filter(({ attempts }) => attempts > 1).length).toBeGreaterThan(0)
  expect(await spread()).toEqual([0, 0, 0])
})
