import { queueName, queuePrefix } from '../keys.ts'
import { Queue, Worker } from 'bullmq'
import { expect, test, vi } from 'vitest'

import { openDurableConnection } from '@vision-queue/redis'
import { openTendedWorkers } from './tended-workers.ts'
import { bytesByHash, newJob, quiet, useTestQueue } from '../test-support/test-queue.ts'

const server = useTestQueue()

/** Workers of the queue `m`, each as `died` says it is when it is opened. */
function tend(died: boolean[]): { opened: () => number; taken: string[]; complaints: () => number } {
  const redis = openDurableConnection({ redisUrl: server.url, log: quiet, name: 'tended' })
  const queue = new Queue(queueName, { connection: redis, prefix: queuePrefix('m') })
  const taken: string[] = []
  const log = { ...quiet, error: vi.fn<(fields: object, message: string) => void>() }
  let opened = 0
  const workers = openTendedWorkers({
    count: 1,
    perWorker: 2,
    open: (_, run) => {
      const dead = died[opened] ?? false
      opened += 1
      const take = async (id = ''): Promise<void> => void taken.push(id)
      // A Worker that does not run is what is left when its loop has ended: all is connected, nothing fetches.
      return new Worker(queueName, async ({ id }) => run(async () => take(id)), {
        connection: redis,
        prefix: queuePrefix('m'),
        autorun: !dead,
      })
    },
    countWaiting: async () => queue.getJobCountByTypes('waiting', 'prioritized'),
    silenceMs: 400,
    log,
  })
  server.atEnd(async () => {
    await workers.close()
    await queue.close()
    redis.disconnect()
  })
  return { opened: () => opened, taken, complaints: () => log.error.mock.calls.length }
}

test('a Worker that stopped fetching is replaced, and the jobs that waited are done', async () => {
  const job = newJob()
  await server.client.submit(job, bytesByHash(Buffer.alloc(100, 7)))
  const tended = tend([true])
  await vi.waitFor(() => expect(tended.taken).toEqual([job.id]), 5000)
  expect([tended.opened(), tended.complaints()]).toEqual([2, 1])
})

test('a Worker that has nothing to do is left alone', async () => {
  const tended = tend([true])
  await new Promise((resolve) => {
    setTimeout(resolve, 1000)
  })
  expect(tended.opened()).toBe(1)
})
