import type { Queue } from 'bullmq'
import { describe, expect, test } from 'vitest'

import { sleep, until, useTestQueues } from '../test-support/test-queue.ts'

const queues = useTestQueues()

/** Runs jobs of 20 ms, and tells how many ran at once at most. */
function measuring() {
  const peak = { now: 0, most: 0, done: 0 }
  const process = async (): Promise<void> => {
    peak.now += 1
    peak.most = Math.max(peak.most, peak.now)
    await sleep(20)
    peak.now -= 1
    peak.done += 1
  }
  return { peak, process }
}

const jobs = (count: number) => Array.from({ length: count }, (_, i) => ({ name: 'x', data: { i } }))

describe('a global concurrency', () => {
  test('holds over Workers of both kinds', async () => {
    const queue = queues.queue()
    await queue.setGlobalConcurrency(3)
    const { peak, process } = measuring()
    queues.worker(process, { concurrency: 10 })
    queues.worker(process, { concurrency: 10, kind: 'bullmq' })
    await queue.addBulk(jobs(40))
    await queues.idle(queue)
    expect([peak.most, peak.done]).toEqual([3, 40])
  })
})

describe('a rate limit', () => {
  /** When each job began, in their order. */
  const begun = async (queue: Queue): Promise<number[]> => {
    const times = (await queue.getCompleted()).map(({ processedOn = 0 }) => processedOn)
    return times.toSorted((a, b) => a - b)
  }

  test('of the whole queue is obeyed', async () => {
    const queue = queues.queue()
    await queue.setGlobalRateLimit(5, 300)
    queues.worker(async () => 1, { concurrency: 20 })
    await queue.addBulk(jobs(12))
    await queues.idle(queue)
    const [first = 0, , , , , sixth = 0, , , , , eleventh = 0] = await begun(queue)
    // A few milliseconds less, as Redis and this process round on their own.
    expect(Math.min(sixth - first, eleventh - sixth)).toBeGreaterThan(290)
  })

  test('of a Worker is obeyed', async () => {
    const queue = queues.queue()
    queues.worker(async () => 1, { concurrency: 20, limiter: { max: 4, duration: 300 } })
    await queue.addBulk(jobs(9))
    await queues.idle(queue)
    const [first = 0, , , , fifth = 0, , , , ninth = 0] = await begun(queue)
    expect(Math.min(fifth - first, ninth - fifth)).toBeGreaterThan(290)
  })
})

describe('a Worker’s concurrency', () => {
  test('is never passed, and is reached', async () => {
    const queue = queues.queue()
    const { peak, process } = measuring()
    queues.worker(process, { concurrency: 7 })
    await queue.addBulk(jobs(60))
    await queues.idle(queue)
    expect([peak.most, peak.done]).toEqual([7, 60])
  })

  test('can be raised and lowered while it runs', async () => {
    const queue = queues.queue()
    const { peak, process } = measuring()
    const worker = queues.worker(process, { concurrency: 2 })
    await queue.addBulk(jobs(10))
    await queues.idle(queue)
    expect(peak.most).toBe(2)
    worker.concurrency = 12
    await queue.addBulk(jobs(60))
    await queues.idle(queue)
    expect(peak.most).toBeGreaterThan(8)
    peak.most = 0
    worker.concurrency = 3
    await queue.addBulk(jobs(20))
    await queues.idle(queue)
    expect(peak.most).toBeLessThanOrEqual(3)
    expect(peak.done).toBe(90)
  })

  test('that is shared with a Worker whose places are full leaves the jobs to the other', async () => {
    const queue = queues.queue()
    const ran: string[] = []
    const stuck = queues.worker(
      async ({ data }) => {
        ran.push(`stuck ${data.i}`)
        await sleep(1500)
      },
      { concurrency: 2 },
    )
    await queue.addBulk(jobs(2))
    await until(() => ran.length === 2, 'its places are full')
    queues.worker(async ({ data }) => ran.push(`free ${data.i}`), { concurrency: 2 })
    await queue.addBulk(jobs(20))
    await until(() => ran.length === 22, 'the other ran all')
    expect(ran.filter((line) => line.startsWith('stuck'))).toHaveLength(2)
    await stuck.close()
  })
})
