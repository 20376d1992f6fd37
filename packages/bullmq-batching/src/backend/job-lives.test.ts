import { DelayedError, type Job, UnrecoverableError } from 'bullmq'
import { describe, expect, test } from 'vitest'

import { sleep, until, useTestQueues } from '../test-support/test-queue.ts'

const queues = useTestQueues()

/** A Worker that writes down which jobs it ran. */
function logging(log: string[], more: (job: Job, token?: string) => unknown = () => 1) {
  return async (job: Job, token?: string): Promise<unknown> => {
    log.push(job.name)
    return more(job, token)
  }
}

describe('the order', () => {
  test('is last in first out, then by coming, then by priority', async () => {
    const queue = queues.queue()
    await Promise.all([
      queue.add('p3', {}, { priority: 3 }),
      queue.add('p1', {}, { priority: 1 }),
      queue.add('n1', {}),
      queue.add('n2', {}),
      queue.add('l', {}, { lifo: true }),
      queue.add('p1b', {}, { priority: 1 }),
      queue.add('p2', {}, { priority: 2 }),
    ])
    const log: string[] = []
    queues.worker(logging(log), { concurrency: 1 })
    await queues.idle(queue)
    expect(log).toEqual(['l', 'n1', 'n2', 'p1', 'p1b', 'p2', 'p3'])
  })

  test('of a bulk with delayed jobs among it is kept, each in its state', async () => {
    const queue = queues.queue()
    const jobs = await queue.addBulk([
      { name: 'a', data: {} },
      { name: 'later', data: {}, opts: { delay: 60_000 } },
      { name: 'b', data: {} },
    ])
    expect(jobs.map(({ id }) => id)).toEqual(['1', '2', '3'])
    expect(await queue.getJobCounts('waiting', 'delayed')).toEqual({ waiting: 2, delayed: 1 })
    await queue.drain(true)
    expect(await queue.getJobCounts('waiting', 'delayed')).toEqual({ waiting: 0, delayed: 0 })
  })
})

describe('a job', () => {
  test('of an id that is there already stays as it is', async () => {
    const queue = queues.queue()
    const [one, two] = await Promise.all([
      queue.add('x', { a: 1 }, { jobId: 'same' }),
      queue.add('x', { a: 2 }, { jobId: 'same' }),
    ])
    expect([one.id, two.id, await queue.getWaitingCount()]).toEqual(['same', 'same', 1])
    expect((await queue.getJob('same'))?.data).toEqual({ a: 1 })
    expect(await queue.remove('same')).toBe(1)
    expect(await queue.getWaitingCount()).toBe(0)
  })

  test('is retried at once or with a backoff, fails at its last attempt, and at once where it says so', async () => {
    const queue = queues.queue()
    const log: string[] = []
    queues.worker(
      logging(log, ({ name, attemptsMade }) => {
        if (name === 'backoff' && attemptsMade < 2) throw new Error('no')
        if (name === 'again' && attemptsMade < 1) throw new Error('no')
        if (name === 'fails') throw new Error('always')
        if (name === 'never') throw new UnrecoverableError('never')
        return 'done'
      }),
      { concurrency: 4 },
    )
    await Promise.all([
      queue.add('backoff', {}, { attempts: 3, backoff: { type: 'fixed', delay: 50 } }),
      queue.add('again', {}, { attempts: 2 }),
      queue.add('fails', {}, { attempts: 2 }),
      queue.add('never', {}, { attempts: 5 }),
    ])
    await queues.idle(queue)
    const counts = (name: string): number => log.filter((other) => other === name).length
    expect(['backoff', 'again', 'fails', 'never'].map(counts)).toEqual([3, 2, 2, 1])
    const failed = await queue.getFailed()
    expect(failed.map(({ failedReason }) => failedReason).toSorted()).toEqual(['always', 'never'])
    const completed = await queue.getCompleted()
    expect(Math.max(...completed.map(({ attemptsMade }) => attemptsMade))).toBe(3)
    await failed.find(({ name }) => name === 'never')?.retry()
    await until(() => counts('never') === 2, 'it is tried again')
  })

  test('with a delay, and one with a priority too, runs when it is due', async () => {
    const queue = queues.queue()
    const log: string[] = []
    const early: string[] = []
    queues.worker(
      logging(log, ({ name, timestamp, opts: { delay = 0 } }) => {
        if (Date.now() < timestamp + delay) early.push(name)
      }),
    )
    await Promise.all([
      queue.add('plain', {}, { delay: 150 }),
      queue.add('prioritized', {}, { delay: 100, priority: 2 }),
    ])
    await queues.idle(queue)
    expect([log.toSorted(), early]).toEqual([['plain', 'prioritized'], []])
    const promoted = await queue.add('promoted', {}, { delay: 60_000 })
    await promoted.promote()
    await until(() => log.includes('promoted'), 'it runs')
  })

  test('can delay itself, and report progress, lines and other data while it runs', async () => {
    const queue = queues.queue()
    let runs = 0
    queues.worker(async (job, token) => {
      runs += 1
      if (job.data.again === true) return 7
      await job.updateProgress(50)
      await job.log('a line')
      await job.updateData({ again: true })
      await job.moveToDelayed(Date.now() + 100, token)
      throw new DelayedError()
    })
    const { id = '' } = await queue.add('x', {})
    await queues.idle(queue)
    const job = await queue.getJob(id)
    expect(job).toMatchObject({ progress: 50, data: { again: true }, returnvalue: 7, attemptsStarted: 2 })
    expect([runs, (await queue.getJobLogs(id)).count, await job?.getState()]).toEqual([2, 1, 'completed'])
  })

  test('knows the Worker that took it, and what it returned, nothing among it', async () => {
    const queue = queues.queue()
    queues.worker(async ({ data }) => data.result, { name: 'worker-7', concurrency: 2 })
    await Promise.all([queue.add('x', { result: { deep: [1] } }), queue.add('x', {})])
    await queues.idle(queue)
    const jobs = await queue.getCompleted()
    expect(jobs.map(({ processedBy }) => processedBy)).toEqual(['worker-7', 'worker-7'])
    expect(jobs.map(({ returnvalue }) => returnvalue)).toEqual(expect.arrayContaining([{ deep: [1] }, null]))
    expect(await queue.getWorkers()).toHaveLength(1)
  })
})

describe('pause and resume', () => {
  test('of the queue: nothing is taken between them', async () => {
    const queue = queues.queue()
    const log: string[] = []
    queues.worker(logging(log), { concurrency: 4 })
    await queue.add('before', {})
    await queues.idle(queue)
    await queue.pause()
    await queue.add('during', {})
    await queue.add('urgent', {}, { priority: 1 })
    await sleep(200)
    expect(log).toEqual(['before'])
    await queue.resume()
    await queues.idle(queue)
    expect(log.toSorted()).toEqual(['before', 'during', 'urgent'])
  })

  test('of a Worker: what it had taken ahead is back in the queue, and runs when it goes on', async () => {
    const queue = queues.queue()
    const log: string[] = []
    const worker = queues.worker(
      logging(log, async () => sleep(20)),
      { concurrency: 4 },
    )
    await queue.addBulk(Array.from({ length: 60 }, (_, i) => ({ name: `j${i}`, data: {} })))
    await until(() => log.length > 5, 'some ran')
    await worker.pause()
    const { active, waiting = 0 } = await queue.getJobCounts()
    expect([active, waiting + log.length]).toEqual([0, 60])
    await worker.resume()
    await queues.idle(queue)
    expect(new Set(log).size).toBe(60)
    expect(log).toHaveLength(60)
  })
})
