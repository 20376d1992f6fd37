import { expect, test } from 'vitest'

import { queueSteps } from '../steps/queue-steps.ts'
import { sleep, until, useTestQueues } from '../test-support/test-queue.ts'
import { createTurns } from '../turns/create-turns.ts'

const queues = useTestQueues()

/** How often Redis was called for each of these so far, from outside. */
async function visits(): Promise<{ scripts: number; reads: number }> {
  const stats = await queues.redis.info('commandstats')
  const count = (name: string): number => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
  return { scripts: count('evalsha'), reads: count('bzpopmin') }
}

test('where Queue and Worker share turns, a job costs one call to be added and taken, and one to be ended', async () => {
  const turns = createTurns(queues.connect(), queueSteps)
  const queue = queues.queue('batching', { turns })
  let done = 0
  queues.worker(
    async () => {
      done += 1
    },
    { turns, concurrency: 8, drainDelay: 60, skipStalledCheck: true },
  )
  await queue.add('warm', {})
  await queues.idle(queue)
  await sleep(100)
  const before = await visits()
  for (let i = 1; i <= 20; i += 1) {
    await queue.add('x', { i }, { removeOnComplete: true })
    await until(() => done === i + 1, 'it is done')
    await sleep(5)
  }
  const after = await visits()
  expect(after.scripts - before.scripts).toBe(40)
  // The marker was never seen from outside of the call that set it.
  expect(after.reads - before.reads).toBeLessThan(3)
})

test('jobs of other processes wake it as ever, and none waits while both kinds come in', async () => {
  const turns = createTurns(queues.connect(), queueSteps)
  const own = queues.queue('batching', { turns })
  const foreign = queues.queue('bullmq')
  const ran: number[] = []
  const options = { turns, concurrency: 3, drainDelay: 60 }
  queues.worker(async ({ data }) => {
    ran.push(data.i)
    await sleep(Math.random() * 8)
  }, options)
  queues.worker(async ({ data }) => ran.push(data.i), { concurrency: 2, drainDelay: 60, kind: 'bullmq' })
  await sleep(200)
  for (let i = 0; i < 300; i += 1) {
    void (Math.random() < 0.5 ? own : foreign).add('x', { i }, { removeOnComplete: true })
    await sleep(Math.random() < 0.1 ? 30 : Math.random() * 4)
  }
  await queues.idle(own)
  expect(new Set(ran).size).toBe(300)
  expect(ran).toHaveLength(300)
})

test('a Worker that is busy keeps no wake-up from another one', async () => {
  const turns = createTurns(queues.connect(), queueSteps)
  const own = queues.queue('batching', { turns })
  const ran: string[] = []
  let release = (): void => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  queues.worker(
    async ({ name }) => {
      ran.push(`own ${name}`)
      await released
    },
    { turns, concurrency: 1, drainDelay: 60 },
  )
  queues.atEnd(() => release())
  await sleep(200)
  queues.worker(async ({ name }) => ran.push(`other ${name}`), { kind: 'bullmq', drainDelay: 60 })
  await sleep(200)
  // Taken in the call that adds it: the blocking read of the Worker goes on, and is the first in the line.
  await own.add('first', {})
  await until(() => ran.length === 1, 'the Worker is busy')
  const foreign = queues.queue('bullmq')
  await foreign.add('second', {})
  await until(() => ran.length === 2, 'the other Worker has it', 10_000)
  release()
  expect(ran).toEqual(['own first', 'other second'])
})

test('a job that is delayed meanwhile runs when it is due, while the older read is under way', async () => {
  const turns = createTurns(queues.connect(), queueSteps)
  const queue = queues.queue('batching', { turns })
  const ran: string[] = []
  queues.worker(async ({ name }) => ran.push(name), { turns, concurrency: 2, drainDelay: 60 })
  await sleep(200)
  await queue.add('now', {})
  await until(() => ran.length === 1, 'the first runs')
  await queue.add('later', {}, { delay: 100 })
  await queue.add('now', {})
  await until(() => ran.length === 3, 'the delayed one runs', 10_000)
  expect(ran).toEqual(['now', 'now', 'later'])
})

test('a Worker that closes meanwhile leaves nothing active', async () => {
  const turns = createTurns(queues.connect(), queueSteps)
  const queue = queues.queue('batching', { turns })
  const worker = queues.worker(async () => sleep(2), { turns, concurrency: 4 })
  await sleep(100)
  const added = Array.from({ length: 100 }, async (_, i) => {
    await sleep(i)
    await queue.add('x', { i })
  })
  await sleep(50)
  await worker.close()
  await Promise.all(added)
  const { active, waiting = 0, completed = 0 } = await queue.getJobCounts()
  expect([active, waiting + completed]).toEqual([0, 100])
})
