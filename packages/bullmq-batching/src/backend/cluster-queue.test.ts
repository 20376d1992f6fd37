import {
  startTestCluster,
  startTestSentinel,
  type TestRedisGroup,
  whyNoRedisGroups,
} from '@vision-queue/test-support/redis-groups'
import { Queue, Worker } from 'bullmq'
import { Cluster, Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { addStep } from '../steps/add-step.ts'
import { queueSteps } from '../steps/queue-steps.ts'
import { step } from '../test-support/counting-steps.ts'
import { until } from '../test-support/test-queue.ts'
import { createTurns } from '../turns/create-turns.ts'
import { batchingBackend } from './batching-factory.ts'

const reason = await whyNoRedisGroups()
if (reason !== null) console.warn(`The tests of queues on a Redis Cluster and a Sentinel are skipped. ${reason}`)

/** Adds 100 jobs, some of them by a chain, does them, and tells what was seen. */
async function work(connect: () => Cluster | Redis, prefix: string, other: string): Promise<unknown> {
  const opened = [connect(), connect()] as const
  const turns = createTurns(opened[0], { ...queueSteps, note: `return redis.call('INCR', KEYS[1])` })
  const queue = new Queue('jobs', { connection: opened[0], prefix }, batchingBackend({ turns }))
  const done: unknown[] = []
  const worker = new Worker(
    'jobs',
    async ({ data }) => done.push(data.i),
    { connection: opened[1], prefix, concurrency: 20 },
    batchingBackend({ turns, finishing: () => [step('note', `${other}ended`)] }),
  )
  try {
    await Promise.all(
      Array.from({ length: 100 }, async (_, i) =>
        i % 2 === 0
          ? queue.add('x', { i }, { removeOnComplete: true, ...(i % 4 === 0 ? { priority: 2 } : {}) })
          : turns.run([
              step('note', `${other}begun`),
              addStep({ prefix, name: 'jobs' }, { id: `own${i}`, name: 'x', data: { i }, opts: {} }),
            ]),
      ),
    )
    await until(() => done.length >= 100, 'all are done')
    await until(async () => (await queue.getJobCountByTypes('waiting', 'active', 'prioritized')) === 0, 'all ended')
    const counted = await opened[1].mget(`${other}begun`, `${other}ended`)
    return { done: new Set(done).size, completed: await queue.getCompletedCount(), counted }
  } finally {
    await worker.close()
    await queue.close()
    for (const connection of opened) connection.disconnect()
  }
}

const all = { done: 100, completed: 50, counted: ['50', '100'] }

describe.skipIf(reason !== null)('a queue', () => {
  let cluster: TestRedisGroup
  let sentinel: TestRedisGroup
  beforeAll(async () => {
    ;[cluster, sentinel] = await Promise.all([startTestCluster(), startTestSentinel()])
  })
  afterAll(async () => {
    await Promise.all([cluster.stop(), sentinel.stop()])
  })

  test('on a Cluster works, with steps of the caller’s on another node', async () => {
    const nodes = cluster.members.map(({ port }) => ({ host: '127.0.0.1', port }))
    const connect = () => new Cluster(nodes, { redisOptions: { maxRetriesPerRequest: null } })
    expect(await work(connect, 'bull:{a}', '{b}')).toEqual(all)
  })

  test('behind Sentinels works', async () => {
    const port = sentinel.members.at(-1)?.port ?? 0
    const options = { sentinels: [{ host: '127.0.0.1', port }], name: 'mymaster', maxRetriesPerRequest: null }
    expect(await work(() => new Redis(options), 'bull', '')).toEqual(all)
  })
})
