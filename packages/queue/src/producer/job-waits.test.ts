import { describe, expect, test } from 'vitest'

import { collectEvents } from '../test-support/job-watch.ts'
import { blobs, limits, newJob, nobody, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()

describe('waiting', () => {
  test('a watcher on another API process sees queued, running and the end', async () => {
    const job = newJob()
    await queue.client.submit(job, blobs)
    const other = await queue.connect()
    const seen = await collectEvents(other, job.id)
    const results = queue.resultStore()
    queue.consume(async ({ job: delivered, startedAt, attempts }) => {
      if (delivered === null) throw new Error('unreadable')
      await results.announceRunning(delivered.id, startedAt, attempts)
      await results.finish(delivered, succeeded(delivered, 'a'))
      return { kind: 'done' }
    })
    await expect.poll(seen.states).toEqual(['queued', 'running', 'succeeded'])
  })

  test('who submits and waits gets the end, though it comes the moment the job is queued', async () => {
    const results = queue.resultStore()
    queue.consume(async ({ job }) => {
      if (job !== null) await results.finish(job, succeeded(job, 'a'))
      return { kind: 'done' }
    })
    const waited = await Promise.all(
      Array.from({ length: 3 }, async () => queue.client.submitAndWait(newJob(), blobs, { timeoutMs: 10_000 })),
    )
    expect(waited.map(({ job }) => job.status)).toEqual(['succeeded', 'succeeded', 'succeeded'])
  })

  test('who submits and waits in vain gets the accepted job, and where it is refused the refusal', async () => {
    for (let place = 0; place < limits.maxJobs; place += 1) {
      expect(await queue.client.submitAndWait(newJob(), blobs, { timeoutMs: 20 })).toMatchObject({
        queuePosition: place,
        job: { status: 'queued' },
      })
    }
    await expect(queue.client.submitAndWait(newJob(), blobs, { timeoutMs: 10_000 })).rejects.toMatchObject({
      code: 'queue_full',
    })
  })

  test('a wait ends with the job as it is when time is up, and at once for an unknown job', async () => {
    const job = newJob()
    await queue.client.submit(job, blobs)
    expect(await queue.client.waitFor(job.id, 50)).toMatchObject({ status: 'queued', metadata: { order: '42' } })
    expect(await queue.client.waitFor(nobody, 10_000)).toBeNull()
  })

  test('what was published while the connection was lost is found after the reconnect', async () => {
    const job = newJob()
    await queue.client.submit(job, blobs)
    const seen = await collectEvents(queue.client, job.id)
    // Nobody hears this: the subscription is cut in the same breath.
    await Promise.all([
      queue.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
      queue.resultStore().finish(job, succeeded(job, 'a')),
    ])
    await expect.poll(seen.states, { timeout: 5000 }).toEqual(['queued', 'succeeded'])
  })
})
