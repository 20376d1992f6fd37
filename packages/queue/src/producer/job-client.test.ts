import { resultKey } from '../keys.ts'
import { startTestRedis } from '@vision-queue/test-support/redis'
import { describe, expect, test } from 'vitest'

import { openJobClient } from './job-client.ts'
import { collectEvents, testClient } from '../test-support/job-watch.ts'
import { blobs, limits, newJob, nobody, quiet, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()

describe('results', () => {
  test('the first final state stays, and only it is published', async () => {
    const job = newJob()
    await queue.client.submit(job, blobs)
    const seen = await collectEvents(queue.client, job.id)
    expect(await queue.resultStore().finish(job, succeeded(job, 'first'))).toBe(true)
    expect(await queue.resultStore().finish(job, succeeded(job, 'second'))).toBe(false)
    await expect.poll(seen.states).toEqual(['queued', 'succeeded'])
    expect((await queue.client.read(job.id))?.output).toEqual({ answer: 'first' })
    await seen.ended
  })

  test('nothing of a finished job is left but its result, which expires', async () => {
    const job = newJob()
    queue.consume(async ({ job: delivered }) => {
      if (delivered !== null) await queue.resultStore().finish(delivered, succeeded(delivered, 'a'))
      return { kind: 'done' }
    })
    await queue.client.submit(job, blobs)
    await queue.client.waitFor(job.id, 10_000)
    await expect
      .poll(async () => (await queue.redis.keys('*')).filter((key) => key.includes(job.id)))
      .toEqual([resultKey(job.id)])
    expect(await queue.redis.pttl(resultKey(job.id))).toBeGreaterThan(0)
    expect(await queue.redis.keys('*payload*')).toEqual([])
    expect(await queue.redis.keys('*holders*')).toEqual([])
  })
})

describe('Redis away', () => {
  test('a dead Redis refuses at once, a frozen one within the command timeout, and both recover', async () => {
    const own = await startTestRedis()
    const away = testClient(openJobClient({ redisUrl: own.url, commandTimeoutMs: 300, log: quiet, ...limits }))
    try {
      await expect
        .poll(() =>
          away.ping().then(
            () => true,
            () => false,
          ),
        )
        .toBe(true)
      own.freeze()
      await Promise.all(
        [
          away.submit(newJob(), blobs),
          away.submitAndWait(newJob(), blobs, { timeoutMs: 60_000 }),
          away.read(nobody),
          away.waitFor(nobody, 60_000),
          away.depth('m'),
          away.ping(),
        ].map((call) => expect(call).rejects.toMatchObject({ code: 'queue_unavailable' })),
      )
      own.thaw()
      await expect
        .poll(() =>
          away.submit(newJob(), blobs).then(
            () => true,
            () => false,
          ),
        )
        .toBe(true)
      await own.stop()
      await expect(away.submit(newJob(), blobs)).rejects.toMatchObject({ code: 'queue_unavailable' })
      await expect(away.read(nobody)).rejects.toMatchObject({ code: 'queue_unavailable' })
      await expect(away.waitFor(nobody, 60_000)).rejects.toMatchObject({
        code: 'queue_unavailable',
      })
    } finally {
      await away.close()
      await own.stop()
    }
  })
})
