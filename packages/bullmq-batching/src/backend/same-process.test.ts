import { Queue, type Worker } from 'bullmq'
import { expect, test } from 'vitest'

import { queueSteps } from '../steps/queue-steps.ts'
import { createTurns, type Turns } from '../turns/create-turns.ts'
import { queueName, sleep, until, useTestQueues } from '../test-support/test-queue.ts'
import { batchingBackend } from './batching-factory.ts'

const queues = useTestQueues()

/** A queue whose jobs are taken by the call that adds them. */
function together(): { queue: Queue; adds: Turns } {
  const connection = queues.connect()
  const adds = createTurns(connection, queueSteps)
  const queue = new Queue(queueName, { connection }, batchingBackend({ turns: adds }))
  queues.atEnd(async () => queue.close())
  return { queue, adds }
}

async function callsOf(command: string): Promise<number> {
  const info = await queues.redis.info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(info)?.[1] ?? 0)
}

/** Waits until so many Workers wait in Redis. */
async function blocked(workers: number): Promise<void> {
  await until(
    async () => (await queues.redis.info('clients')).includes(`blocked_clients:${workers}`),
    `${workers} Workers wait`,
  )
}

async function done(queue: Queue, job: { id?: string | undefined }): Promise<void> {
  await until(async () => (await queue.getJobState(job.id ?? '')) === 'completed', 'the job is done')
}

test('a job costs one call to be added and taken, and one to be ended; the blocking read goes on meanwhile', async () => {
  const { queue, adds } = together()
  const worker = queues.worker(async ({ data }) => data.i, { adds, concurrency: 4 })
  const addAndWait = async (i: number): Promise<void> => {
    const ended = new Promise((resolve) => worker.once('completed', resolve))
    await queue.add('x', { i })
    await ended
    await sleep(2)
  }
  await addAndWait(0)
  await blocked(1)
  const [scripts, reads] = [await callsOf('evalsha'), await callsOf('bzpopmin')]
  for (let i = 1; i <= 20; i += 1) await addAndWait(i)
  expect((await callsOf('evalsha')) - scripts).toBeLessThanOrEqual(44)
  expect((await callsOf('bzpopmin')) - reads).toBeLessThanOrEqual(1)
  expect(await queues.redis.exists(`bull:${queueName}:marker`)).toBe(0)
})

test('many at once are each done once, more than there are places, with others added elsewhere', async () => {
  const { queue, adds } = together()
  const elsewhere = queues.queue()
  const seen = new Map<string, number>()
  const worker = queues.worker(
    async ({ id = '' }) => {
      seen.set(id, (seen.get(id) ?? 0) + 1)
      await sleep(Number(id) % 3)
    },
    { adds, concurrency: 8 },
  )
  for (let round = 0; round < 40; round += 1) {
    const from = round % 3 === 0 ? elsewhere : queue
    await Promise.all(Array.from({ length: 1 + ((round * 7) % 30) }, async () => from.add('x', {})))
    await sleep(round % 5)
  }
  await queues.idle(queue)
  expect([...seen.values()].every((times) => times === 1)).toBe(true)
  expect(seen.size).toBe(Number(await queues.redis.get(`bull:${queueName}:id`)))
  await worker.close()
  expect(await queues.redis.keys('bull:jobs:*:lock')).toEqual([])
})

test('a job that another process adds wakes the Worker, after jobs of its own', async () => {
  const { queue, adds } = together()
  queues.worker(async () => 1, { adds })
  for (let round = 0; round < 5; round += 1) {
    await done(queue, await queue.add('x', {}))
    const startedAt = performance.now()
    await done(queue, await queues.queue().add('x', {}))
    // Not only when the blocking read has timed out.
    expect(performance.now() - startedAt).toBeLessThan(4000)
  }
})

test('a Worker without a free place leaves the wake-up of other jobs to others', async () => {
  const { queue, adds } = together()
  let release = (): void => {}
  const first = new Promise<void>((resolve) => {
    release = resolve
  })
  const workerOf: string[] = []
  const open = (name: string, options: { adds?: Turns } = {}): Worker =>
    queues.worker(
      async ({ data }) => {
        workerOf[data.i] = name
        if (data.i === 0) await first
      },
      { name, ...options },
    )
  open('own', { adds })
  await blocked(1)
  await queue.add('x', { i: 0 })
  await until(() => workerOf[0] === 'own', 'the first job runs')
  open('other')
  await blocked(2)
  const startedAt = performance.now()
  for (let i = 1; i <= 4; i += 1) await done(queue, await queue.add('x', { i }))
  expect(workerOf.slice(1)).toEqual(['other', 'other', 'other', 'other'])
  expect(performance.now() - startedAt).toBeLessThan(4000)
  release()
})

test('delayed jobs come in time, and a paused or closed Worker takes none', async () => {
  const { queue, adds } = together()
  const worker = queues.worker(async () => Date.now(), { adds })
  await done(queue, await queue.add('x', {}))
  const delayed = await queue.add('x', {}, { delay: 300 })
  await done(queue, await queue.add('x', {}))
  await done(queue, delayed)
  const { finishedOn = 0, timestamp = 0 } = (await queue.getJob(delayed.id ?? '')) ?? {}
  expect(finishedOn - timestamp).toBeGreaterThanOrEqual(300)
  expect(finishedOn - timestamp).toBeLessThan(4000)
  await worker.pause()
  const waits = await queue.add('x', {})
  await sleep(400)
  expect(await queue.getJobState(waits.id ?? '')).toBe('waiting')
  await worker.resume()
  await done(queue, waits)
  await worker.close()
  await queue.add('x', {})
  await sleep(400)
  expect(await queue.getJobCounts('active', 'waiting')).toEqual({ active: 0, waiting: 1 })
})
