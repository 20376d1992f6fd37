import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import { describe, expect, test } from 'vitest'

import { type Kind, queueName, sleep, until, useTestQueues } from '../test-support/test-queue.ts'

const queues = useTestQueues()

/** Recovers quickly what a dead Worker held. */
const quick = { lockDuration: 1000, stalledInterval: 500, maxStalledCount: 5 }

/** A Worker in a process of its own, that has taken jobs. */
async function startVictim(kind: Kind): Promise<ChildProcess> {
  const file = fileURLToPath(new URL('../test-support/victim.ts', import.meta.url))
  const child = fork(file, [queues.url, kind, queueName], { execArgv: ['--import', 'tsx'] })
  queues.atEnd(() => child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

describe.each<[Kind, Kind]>([
  ['batching', 'bullmq'],
  ['batching', 'batching'],
  ['bullmq', 'batching'],
])('when a Worker of %s is killed while it has jobs', (victim, saver) => {
  test(`one of ${saver} finds them stalled, and all are done`, async () => {
    const total = 300
    const queue = queues.queue()
    await queue.addBulk(
      Array.from({ length: total }, (_, i) => ({ name: 'x', data: { i }, opts: i % 2 === 0 ? {} : { priority: 1 } })),
    )
    const child = await startVictim(victim)
    await until(async () => (await queues.redis.scard('done')) > 20, 'it does some')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const active = await queue.getActiveCount()
    expect(active).toBeGreaterThan(0)

    const stalled: string[] = []
    const worker = queues.worker(async ({ data }) => queues.redis.sadd('done', data.i), {
      kind: saver,
      concurrency: 32,
      ...quick,
    })
    worker.on('stalled', (id) => stalled.push(id))
    await queues.idle(queue)
    expect(await queues.redis.scard('done')).toBe(total)
    expect(new Set(stalled).size).toBe(active)
    expect(await queue.getJobCounts('completed', 'failed')).toEqual({ completed: total, failed: 0 })
  })
})

describe('long jobs', () => {
  test('keep their locks, those of jobs taken ahead too', async () => {
    const queue = queues.queue()
    let renewed = 0
    const problems: string[] = []
    const worker = queues.worker(
      async (job, token = '') => {
        await job.extendLock(token, 600)
        await sleep(1500)
      },
      { concurrency: 6, lockDuration: 600, stalledInterval: 200 },
    )
    worker.on('locksRenewed', ({ count }) => {
      renewed += count
    })
    worker.on('stalled', (id) => problems.push(`stalled ${id}`))
    worker.on('error', ({ message }) => problems.push(message))
    await queue.addBulk(Array.from({ length: 6 }, () => ({ name: 'x', data: {} })))
    await queues.idle(queue)
    expect(problems).toEqual([])
    expect(renewed).toBeGreaterThan(6)
    expect(await queue.getCompletedCount()).toBe(6)
  })

  test('whose lock is lost are not completed by the Worker that lost it', async () => {
    const queue = queues.queue()
    const worker = queues.worker(
      async ({ id }) => {
        await queues.redis.set(`bull:jobs:${id}:lock`, 'another')
      },
      { concurrency: 2, skipStalledCheck: true },
    )
    const errors: string[] = []
    worker.on('error', ({ message }) => errors.push(message))
    const { id } = await queue.add('x', {})
    await until(() => errors.length > 0, 'it is told')
    expect(errors[0]).toMatch(new RegExp(`Lock mismatch for job ${id}|Missing lock for job ${id}|is not owned`))
    expect(await queue.getActiveCount()).toBe(1)
  })
})

test('connections that are cut lose no job: each is added, and done at least once', async () => {
  const total = 1000
  const queue = queues.queue()
  const ran = new Map<string, number>()
  const worker = queues.worker(
    async ({ id = '' }) => {
      ran.set(id, (ran.get(id) ?? 0) + 1)
      await sleep(3)
    },
    { concurrency: 16, runRetryDelay: 100, ...quick },
  )
  worker.on('error', () => {})
  const cutting = setInterval(() => {
    queues.redis.call('CLIENT', ['KILL', 'TYPE', 'normal', 'SKIPME', 'yes']).catch(() => {})
  }, 150)
  try {
    for (let i = 0; i < total; i += 50) {
      const batch = Array.from({ length: 50 }, async (_, k) =>
        queue.add('x', {}, { jobId: `n${i + k}`, removeOnComplete: true }),
      )
      expect((await Promise.allSettled(batch)).filter(({ status }) => status === 'rejected')).toEqual([])
      await sleep(20)
    }
  } finally {
    clearInterval(cutting)
  }
  await queues.idle(queue)
  expect(ran.size).toBe(total)
  expect(await queue.getFailedCount()).toBe(0)
})
