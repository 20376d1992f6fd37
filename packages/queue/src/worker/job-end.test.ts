import { describe, expect, test, vi } from 'vitest'

import { jobChangeSchema } from '../job-change.ts'
import { finalJob } from '../job-forms.ts'
import { jobKey, replyChannel } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'
import { newReplyName } from '../reply-name.ts'
import { blobs, newJob, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()

/** Consumes all jobs in batches of `size`, whose answers are stored as they leave the queue; gives what they were told. */
function consumeBatches(size: number): { told: { id: string; stands: boolean }[] } {
  const results = queue.resultStore()
  const told: { id: string; stands: boolean }[] = []
  const waiting: (() => void)[] = []
  queue.consume(
    async ({ job }) => {
      if (job === null) throw new Error('unreadable')
      await new Promise<void>((resolve) => {
        waiting.push(resolve)
        if (waiting.length === size) for (const go of waiting.splice(0)) go()
      })
      const { steps, settle } = results.endOf(job, succeeded(job, 'a'))
      const ending = {
        steps,
        settle: async (replies: readonly unknown[]) => void told.push({ id: job.id, stands: await settle(replies) }),
      }
      return { kind: 'done', ending }
    },
    { concurrency: 16 },
  )
  return { told }
}

/** Messages of a channel from now on. */
async function hear(channel: string): Promise<unknown[]> {
  const heard: unknown[] = []
  const subscriber = queue.redis.duplicate()
  queue.atEnd(() => subscriber.disconnect())
  subscriber.on('message', (_, message: string) => heard.push(JSON.parse(message)))
  await subscriber.subscribe(channel)
  return heard
}

async function submitted(count: number, changes: Partial<QueuedJob> = {}): Promise<QueuedJob[]> {
  const roomy = await queue.connect({ maxJobs: 100, maxBytes: 1e6 })
  const jobs = Array.from({ length: count }, () => ({ ...newJob(), ...changes }))
  for (const job of jobs) await roomy.submit(job, blobs)
  return jobs
}

const idsIn = (changes: unknown): string[] =>
  jobChangeSchema
    .array()
    .parse(changes)
    .map((change) => (change.kind === 'final' ? change.job.id : ''))

describe('jobs that end with their answer', () => {
  test('leave nothing but the answer, and those of one turn are one reply', async () => {
    const replyTo = newReplyName()
    const replies = await hear(replyChannel(replyTo))
    const jobs = await submitted(8, { replyTo })
    const { told } = consumeBatches(8)
    await vi.waitFor(() => expect(told).toHaveLength(8), { timeout: 10_000 })
    expect(told.every(({ stands }) => stands)).toBe(true)
    await vi.waitFor(() => expect(replies.flat()).toHaveLength(8))
    // A Worker looks at its jobs one by one, so they may end in more turns than one, but not in one each.
    expect(replies.length).toBeLessThan(8)
    expect(replies.flatMap(idsIn).toSorted()).toEqual(jobs.map(({ id }) => id).toSorted())
    expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
    await expect.poll(async () => queue.redis.keys('vq:{m}:jobs:job_*')).toEqual([])
    expect(await queue.redis.keys('vq:{blob:*')).toEqual([])
    expect(await queue.redis.exists(...jobs.map(({ id }) => jobKey(id)))).toBe(0)
  })

  test('of an API process of an earlier release, which takes no lists, are a reply each', async () => {
    const replies = await hear(replyChannel('earlier'))
    const jobs = await submitted(4, { replyTo: 'earlier' })
    consumeBatches(4)
    await vi.waitFor(() => expect(replies).toHaveLength(4), { timeout: 10_000 })
    expect(idsIn(replies).toSorted()).toEqual(jobs.map(({ id }) => id).toSorted())
  })

  test('leave the state of one that was canceled meanwhile, and the queue', async () => {
    const [canceled, other] = await submitted(2)
    if (canceled === undefined || other === undefined) throw new Error('none')
    const final = { ...succeeded(canceled, 'none'), status: 'canceled' as const, output: null }
    expect(await queue.resultStore().finish(canceled, final)).toBe(true)
    const { told } = consumeBatches(2)
    await vi.waitFor(() => expect(told).toHaveLength(2), { timeout: 10_000 })
    expect(told).toContainEqual({ id: canceled.id, stands: false })
    expect(told).toContainEqual({ id: other.id, stands: true })
    expect(await queue.client.read(canceled.id)).toMatchObject({ status: 'canceled', output: null })
    await expect.poll(async () => queue.redis.keys('vq:{m}:jobs:job_*')).toEqual([])
    expect(await queue.redis.keys('vq:{blob:*')).toEqual([])
  })

  test.each(['failed', 'canceled', 'expired'] as const)(
    'as %s do so by one script call, what is kept for another try included',
    async (status) => {
      const [first, second] = await submitted(2, { metadata: null })
      if (first === undefined || second === undefined) throw new Error('none')
      const results = queue.resultStore({ failedPayloadTtlMs: 60_000, failedPayloadMaxBytes: 1e6 })
      const end = async (job: QueuedJob): Promise<boolean> =>
        results.finish(job, finalJob(job, { status, attempts: 1 }, 60_000))
      // Redis learns the script.
      expect(await end(first)).toBe(true)
      await queue.redis.config('RESETSTAT')
      expect(await end(second)).toBe(true)
      const stats = await queue.redis.info('commandstats')
      expect(/^cmdstat_evalsha:calls=(\d+),/m.exec(stats)?.[1]).toBe('1')
      expect(stats).not.toMatch(/^cmdstat_eval:/m)
      expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
      expect(await queue.client.of(null).readForRetry(second.id)).toMatchObject({ id: second.id })
      expect((await queue.redis.keys('vq:{blob:*:bytes')).length).toBe(1)
    },
  )

  test('stand when their call is carried out twice, because its reply was lost', async () => {
    const [job] = await submitted(1)
    if (job === undefined) throw new Error('none')
    const results = queue.resultStore()
    const final = succeeded(job, 'a')
    expect(await results.finish(job, final)).toBe(true)
    expect(await results.finish(job, final)).toBe(true)
    expect(await results.finish(job, succeeded(job, 'b'))).toBe(false)
    expect(await queue.client.read(job.id)).toMatchObject({ output: { answer: 'a' } })
  })
})
