import { createRedisBackend, FlowProducer, QueueEvents, UnrecoverableError, WaitingChildrenError } from 'bullmq'
import { expect, test } from 'vitest'

import { queueName, until, useTestQueues } from '../test-support/test-queue.ts'
import { batchingBackend } from './batching-factory.ts'

const queues = useTestQueues()

test.each([['bullmq'], ['batching']])(
  'a flow by %s runs the parent after its children, with their values',
  async (kind) => {
    const queue = queues.queue()
    const order: string[] = []
    const values: unknown[] = []
    queues.worker(
      async (job) => {
        order.push(job.name)
        if (job.name === 'parent') values.push(...Object.values(await job.getChildrenValues()))
        return job.name
      },
      { concurrency: 4 },
    )
    const factory = kind === 'batching' ? batchingBackend() : createRedisBackend
    const flows = new FlowProducer({ connection: queues.connect() }, factory)

    queues.atEnd(async () => flows.close())
    const children = ['c1', 'c2', 'c3'].map((name) => ({ name, queueName, data: {} }))
    await flows.add({ name: 'parent', queueName, data: {}, children })
    await until(async () => (await queue.getCompletedCount()) === 4, 'all are done')
    expect(order.at(-1)).toBe('parent')
    expect(new Set(values)).toEqual(new Set(['c1', 'c2', 'c3']))
  },
)

test('a job that waits for the children it made itself goes on when they are done, and at once where none is left', async () => {
  const queue = queues.queue()
  const steps: unknown[] = []
  queues.worker(
    async (job, token = '') => {
      if (job.name === 'child') return 'child'
      if (job.data.made !== true) {
        const parent = { id: job.id ?? '', queue: job.queueQualifiedName }
        await job.updateData({ made: true })
        await queue.add('child', {}, { parent })
      }
      const waits = await job.moveToWaitingChildren(token)
      steps.push(waits)
      if (waits) throw new WaitingChildrenError()
      return 'parent'
    },
    { concurrency: 3 },
  )
  await queue.add('parent', {})
  await until(async () => (await queue.getCompletedCount()) === 2, 'both are done')
  expect(steps).toEqual([true, false])
})

test('a job whose child failed before it waits for it fails, by the Worker that has it', async () => {
  const queue = queues.queue()
  const worker = queues.worker(
    async (job, token = '') => {
      if (job.name === 'child') throw new UnrecoverableError('the child')
      const parent = { id: job.id ?? '', queue: job.queueQualifiedName }
      const child = await queue.add('child', {}, { parent, failParentOnFailure: true })
      await until(async () => child.isFailed(), 'the child failed')
      if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError()
    },
    { concurrency: 3 },
  )
  const { id = '' } = await queue.add('parent', {})
  await until(async () => (await queue.getFailedCount()) === 2, 'both failed')
  expect((await queue.getJob(id))?.failedReason).toContain('at least one failed child')
  await worker.close()
  expect(await queue.getActiveCount()).toBe(0)
})

test('deduplication keeps one of several, and lets the next through when it is done', async () => {
  const queue = queues.queue()
  const [one, two] = await Promise.all([
    queue.add('x', { n: 1 }, { deduplication: { id: 'same' } }),
    queue.add('x', { n: 2 }, { deduplication: { id: 'same' } }),
  ])
  expect(two.id).toBe(one.id)
  const ran: unknown[] = []
  queues.worker(async ({ data }) => ran.push(data.n), { concurrency: 2 })
  await queues.idle(queue)
  await queue.add('x', { n: 3 }, { deduplication: { id: 'same' } })
  await queues.idle(queue)
  expect(ran).toEqual([1, 3])
})

test('a job scheduler makes jobs, and stops at its limit', async () => {
  const queue = queues.queue()
  let ran = 0
  queues.worker(async () => {
    ran += 1
  })
  await queue.upsertJobScheduler('often', { every: 60, limit: 3 }, { name: 'scheduled' })
  await until(() => ran === 3, 'it ran three times')
  expect(await queue.getCompletedCount()).toBe(3)
})

test('getters, clean, drain and obliterate see what was written', async () => {
  const queue = queues.queue()
  await queue.addBulk(Array.from({ length: 5 }, (_, i) => ({ name: `j${i}`, data: { i } })))
  await queue.add('urgent', {}, { priority: 3 })
  expect((await queue.getWaiting()).map(({ name }) => name)).toEqual(['j0', 'j1', 'j2', 'j3', 'j4'])
  expect(await queue.getCountsPerPriority([0, 3])).toEqual({ 0: 5, 3: 1 })
  expect(await (await queue.getJobs('prioritized'))[0]?.getState()).toBe('prioritized')
  const worker = queues.worker(async () => 'done', { concurrency: 3 })
  await queues.idle(queue)
  await worker.close()
  expect(await queue.clean(0, 4, 'completed')).toHaveLength(4)
  expect(await queue.getCompletedCount()).toBe(2)
  await queue.add('left', {})
  await queue.drain()
  expect(await queue.count()).toBe(0)
  await queue.obliterate({ force: true })
  expect(await queues.redis.keys('bull:jobs:*')).toEqual([])
})

test('metrics and keeping by age are BullMQ’s own to do, and are done', async () => {
  const queue = queues.queue()
  queues.worker(async () => 'done', { concurrency: 3, metrics: { maxDataPoints: 60 }, removeOnComplete: { age: 3600 } })
  await queue.addBulk(Array.from({ length: 6 }, (_, i) => ({ name: 'x', data: { i } })))
  await queues.idle(queue)
  expect((await queue.getMetrics('completed')).meta.count).toBe(6)
  expect(await queue.getCompletedCount()).toBe(6)
})

test('with events, QueueEvents hears of a job’s whole life, and waitUntilFinished of its end', async () => {
  const queue = queues.queue('batching', { events: true })
  const events = new QueueEvents(queueName, { connection: queues.connect(), lastEventId: '0' })
  queues.atEnd(async () => events.close())
  const heard: string[] = []
  for (const name of ['added', 'waiting', 'active', 'completed', 'failed', 'drained', 'duplicated'] as const) {
    events.on(name, () => heard.push(name))
  }
  await events.waitUntilReady()
  const job = await queue.add('x', {}, { jobId: 'one' })
  await queue.add('x', {}, { jobId: 'one' })
  queues.worker(async () => 42, { events: true, concurrency: 2 })
  expect(await job.waitUntilFinished(events)).toBe(42)
  await until(() => heard.includes('drained'), 'the end of all')
  expect(heard).toEqual(['added', 'waiting', 'duplicated', 'active', 'completed', 'drained'])
})

test('without events nothing is written to the event stream by what is batched', async () => {
  const queue = queues.queue()
  queues.worker(async () => 1, { concurrency: 3 })
  await queue.addBulk(Array.from({ length: 9 }, (_, i) => ({ name: 'x', data: { i } })))
  await queues.idle(queue)
  expect(await queues.redis.exists('bull:jobs:events')).toBe(0)
})
