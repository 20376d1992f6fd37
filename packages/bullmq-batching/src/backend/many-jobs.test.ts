import { describe, expect, test } from 'vitest'

import { type Kind, queueName, sleep, until, useTestQueues } from '../test-support/test-queue.ts'

const queues = useTestQueues()

describe('many jobs', () => {
  test('are each done once, with what they return, and leave no lock', async () => {
    const total = 6000
    const queue = queues.queue()
    const seen = new Map<number, number>()
    const worker = queues.worker(
      async ({ data }) => {
        seen.set(data.i, (seen.get(data.i) ?? 0) + 1)
        if (data.i % 97 === 0) await sleep(3)
        return data.i * 2
      },
      { concurrency: 64 },
    )
    for (let i = 0; i < total; i += 100) {
      await Promise.all(
        Array.from({ length: 100 }, async (_, k) =>
          queue.add(
            'x',
            { i: i + k },
            { removeOnComplete: i % 200 === 0, ...(k % 3 === 0 ? { priority: 1 + (k % 5) } : {}) },
          ),
        ),
      )
    }
    await queues.idle(queue)
    expect(seen.size).toBe(total)
    expect([...seen.values()].every((times) => times === 1)).toBe(true)
    const kept = await queue.getJobs(['completed'], 0, total)
    expect(kept).toHaveLength(total / 2)
    expect(kept.every(({ returnvalue, data }) => returnvalue === data.i * 2)).toBe(true)
    expect(kept.every((job) => job.attemptsMade === 1 && job.attemptsStarted === 1)).toBe(true)
    expect(kept.every((job) => (job.finishedOn ?? 0) >= (job.processedOn ?? Infinity))).toBe(true)
    await worker.close()
    expect(await queues.redis.keys('bull:jobs:*:lock')).toEqual([])
    expect(await queues.redis.exists('bull:jobs:events', 'bull:jobs:stalled')).toBe(0)
  })

  test('of one turn are added in one call, and taken and ended in few', async () => {
    const queue = queues.queue()
    await queue.waitUntilReady()
    const calls = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await queues.redis.info('commandstats'))?.[1] ?? 0)
    await queue.add('warm', {})
    const before = await calls()
    await Promise.all(Array.from({ length: 200 }, async (_, i) => queue.add('x', { i })))
    expect((await calls()) - before).toBe(1)
    queues.worker(async () => 1, { concurrency: 50, removeOnComplete: { count: 0 } })
    await queues.idle(queue)
    // BullMQ's own needs one to take each job and one to end it.
    expect((await calls()) - before).toBeLessThan(60)
  })

  test('leave no key when they are not kept', async () => {
    const queue = queues.queue()
    const worker = queues.worker(async (job) => job.log('a line'), { concurrency: 8 })
    await Promise.all(Array.from({ length: 50 }, async (_, i) => queue.add('x', { i }, { removeOnComplete: true })))
    await queues.idle(queue)
    await worker.close()
    const bullmq = new Set(['bull:jobs:id', 'bull:jobs:meta', 'bull:jobs:stalled-check'])
    expect((await queues.redis.keys('*')).filter((key) => !bullmq.has(key))).toEqual([])
  })

  test('that are kept by count leave the newest, and nothing of the others', async () => {
    const queue = queues.queue()
    const worker = queues.worker(async (job) => `r${job.id}`, { concurrency: 8, removeOnComplete: { count: 10 } })
    await Promise.all(Array.from({ length: 200 }, async (_, i) => queue.add('x', { i }, { jobId: `id${i}` })))
    await queues.idle(queue)
    await worker.close()
    expect(await queue.getCompletedCount()).toBe(10)
    expect(await queues.redis.keys('bull:jobs:id?*')).toHaveLength(10)
    const values = (await queue.getCompleted()).map(({ id, returnvalue }) => returnvalue === `r${id}`)
    expect(values.every(Boolean)).toBe(true)
  })
})

describe.each<[Kind]>([['batching'], ['bullmq']])('a queue that is filled by %s', (kind) => {
  test('is served by both kinds of Worker at once, each job once', async () => {
    const total = 2000
    const queue = queues.queue(kind)
    const seen = new Map<number, number>()
    const by = { batching: 0, bullmq: 0 }
    const process = (worker: Kind) => async (job: { data: { i: number } }) => {
      by[worker] += 1
      seen.set(job.data.i, (seen.get(job.data.i) ?? 0) + 1)
      await sleep(Math.random() * 4)
    }
    queues.worker(process('batching'), { concurrency: 16 })
    queues.worker(process('bullmq'), { kind: 'bullmq', concurrency: 16 })
    for (let i = 0; i < total; i += 40) {
      await Promise.all(
        Array.from({ length: 40 }, async (_, k) =>
          queue.add('x', { i: i + k }, { removeOnComplete: true, ...(k % 2 === 0 ? {} : { priority: 1 }) }),
        ),
      )
      if (i % 400 === 0) await sleep(20)
    }
    await queues.idle(queue)
    expect(seen.size).toBe(total)
    expect([...seen.values()].every((times) => times === 1)).toBe(true)
    expect(Math.min(by.batching, by.bullmq)).toBeGreaterThan(100)
  })

  test('loses no wake-up while jobs trickle in', async () => {
    const queue = queues.queue(kind)
    const late: number[] = []
    const process = async ({ data }: { data: { at: number } }): Promise<void> => {
      late.push(performance.now() - data.at)
      await sleep(Math.random() * 20)
    }
    // A job that no Worker is woken for would wait for a minute.
    const options = { concurrency: 4, drainDelay: 60 }
    await queues.worker(process, options).waitUntilReady()
    await queues.worker(process, options).waitUntilReady()
    await sleep(100)
    for (let i = 0; i < 300; i += 1) {
      void queue.add('x', { at: performance.now() }, { removeOnComplete: true })
      await sleep(Math.random() < 0.1 ? 40 : Math.random() * 6)
    }
    await queues.idle(queue)
    expect(late).toHaveLength(300)
  })
})

test('a Worker that closes leaves nothing active, and every job either done or waiting', async () => {
  const queue = queues.queue()
  let done = 0
  const worker = queues.worker(
    async () => {
      done += 1
      await sleep(5)
    },
    { concurrency: 8 },
  )
  await queue.addBulk(Array.from({ length: 500 }, (_, i) => ({ name: 'x', data: { i } })))
  await until(() => done > 20, 'some are done')
  await worker.close()
  const { active, waiting = 0, completed = 0 } = await queue.getJobCounts()
  expect(active).toBe(0)
  expect(waiting + completed).toBe(500)
  expect(completed).toBe(done)
  expect(await queues.redis.keys(`bull:${queueName}:*:lock`)).toEqual([])
})
