import { finalJob } from '../job-forms.ts'
import type { JobStatus } from '@vision-queue/protocol'
import type { QueuedJob } from '../queued-job.ts'
import { describe, expect, test } from 'vitest'

import type { ListCursor, ListOptions } from './job-index.ts'
import type { OwnedJobs } from './owned-jobs.ts'
import { blobs, newJob, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()
const all: ListOptions = { owner: 'me', status: null, model: null, cursor: null, limit: 100 }

const myJobs = (): OwnedJobs => queue.client.of('me')

async function submit(count: number, changes: Partial<QueuedJob> = {}): Promise<QueuedJob[]> {
  const client = await queue.connect({ maxJobs: 1000, maxBytes: 1e6 })
  const jobs = Array.from({ length: count }, () => ({ ...newJob(), owner: 'me', ...changes }))
  for (const job of jobs) await client.submit(job, blobs)
  return jobs
}

async function end(job: QueuedJob, status: 'failed' | 'canceled' | 'succeeded'): Promise<void> {
  await queue.resultStore().finish(job, finalJob(job, { status, attempts: 1 }, 60_000))
}

async function idsOf(options: Partial<ListOptions>): Promise<string[]> {
  const page = await queue.client
    .of(options.owner === undefined ? all.owner : options.owner)
    .list({ ...all, ...options })
  return page.jobs.map(({ id }) => id)
}

describe('the list of an owner', () => {
  test('has its own jobs and nobody else’s, in every state, newest first', async () => {
    const [first, second] = await submit(2)
    const [other] = await submit(1, { owner: 'you' })
    const [nobodys] = await submit(1, { owner: null })
    if (first === undefined || second === undefined) throw new Error('none')
    await end(first, 'failed')
    const { jobs } = await myJobs().list(all)
    expect(jobs.map(({ id, status }) => [id, status])).toEqual([
      [second.id, 'queued'],
      [first.id, 'failed'],
    ])
    expect(await idsOf({ owner: 'you' })).toEqual([other?.id])
    expect(await idsOf({ owner: null })).toEqual([nobodys?.id])
  })

  test('is given in parts that leave nothing out and repeat nothing, even of one millisecond', async () => {
    const jobs = [...(await submit(70, { createdAt: 1000 })), ...(await submit(35))]
    const seen: string[] = []
    let cursor: ListCursor | null = null
    do {
      const page = await myJobs().list({ ...all, cursor, limit: 20 })
      seen.push(...page.jobs.map(({ id }) => id))
      cursor = page.next
    } while (cursor !== null)
    expect(seen).toHaveLength(jobs.length)
    expect(new Set(seen)).toEqual(new Set(jobs.map(({ id }) => id)))
  })

  test('tells failed and canceled ones among many others, and those of a model', async () => {
    const [failed, canceled, done] = await submit(3)
    const [elsewhere] = await submit(1, { model: 'other' })
    if (failed === undefined || canceled === undefined || done === undefined) throw new Error('none')
    await end(failed, 'failed')
    await myJobs().cancel(canceled.id)
    await end(done, 'succeeded')
    const byStatus = async (status: JobStatus): Promise<string[]> => idsOf({ status })
    expect(await byStatus('failed')).toEqual([failed.id])
    expect(await byStatus('canceled')).toEqual([canceled.id])
    expect(await byStatus('succeeded')).toEqual([done.id])
    expect(await byStatus('queued')).toEqual([elsewhere?.id])
    expect(await byStatus('expired')).toEqual([])
    expect(await idsOf({ model: 'other' })).toEqual([elsewhere?.id])
    // A result that came too late is no ending.
    await end(done, 'failed')
    expect(await byStatus('failed')).toEqual([failed.id])
  })

  test('costs little that finds nothing, and goes on where it stopped', async () => {
    const jobs = await submit(200)
    for (const job of jobs.slice(0, 120)) await end(job, 'failed')
    const reads = async (): Promise<number> => {
      const stats = await queue.redis.info('commandstats')
      return Number(/^cmdstat_get:calls=(\d+)/m.exec(stats)?.[1] ?? 0)
    }
    // For the name of a model no job is read; a page may be short of what was asked for, and says where it goes on.
    const costs: [Partial<ListOptions>, number][] = [
      [{ model: 'nothing', limit: 1 }, 0],
      [{ model: 'nothing', status: 'failed' }, 0],
      [{ status: 'running', limit: 1 }, 110],
      [{ status: 'succeeded', limit: 1 }, 110],
      [{ limit: 1 }, 10],
    ]
    for (const [query, most] of costs) {
      const before = await reads()
      await myJobs().list({ ...all, ...query })
      expect([query, (await reads()) - before <= most]).toEqual([query, true])
    }
    const found: string[] = []
    let cursor: ListCursor | null = null
    let calls = 0
    do {
      const page = await myJobs().list({ ...all, status: 'queued', cursor, limit: 30 })
      found.push(...page.jobs.map(({ id }) => id))
      cursor = page.next
      calls += 1
    } while (cursor !== null && calls < 20)
    expect(found.toSorted()).toEqual(
      jobs
        .slice(120)
        .map(({ id }) => id)
        .toSorted(),
    )
  })

  test('has jobs that an earlier release entered without their model', async () => {
    const [mine, elsewhere] = [...(await submit(1)), ...(await submit(1, { model: 'other' }))]
    if (mine === undefined || elsewhere === undefined) throw new Error('none')
    await queue.redis.del('vq:owned:me')
    for (const { id, createdAt } of [mine, elsewhere]) await queue.redis.zadd('vq:owned:me', createdAt, id)
    expect(await idsOf({ model: 'other' })).toEqual([elsewhere.id])
    expect(await idsOf({})).toHaveLength(2)
  })

  test('is bounded, lapses, and is not kept where that is turned off', async () => {
    const short = await queue.connect({ maxJobs: 100, maxBytes: 1e6, listLength: 0 })
    await short.submit({ ...newJob(), owner: 'quiet' }, blobs)
    expect(await queue.redis.keys('vq:owned:*')).toEqual([])
    const [job] = await submit(3)
    if (job === undefined) throw new Error('none')
    await end(job, 'failed')
    for (const key of await queue.redis.keys('vq:owned:*')) {
      expect([key, (await queue.redis.pttl(key)) > 0]).toEqual([key, true])
    }
    const bounded = await queue.connect({ maxJobs: 100, maxBytes: 1e6, listLength: 2 })
    await bounded.submit({ ...newJob(), owner: 'me' }, blobs)
    expect(await queue.redis.zcard('vq:owned:me')).toBe(2)
  })
})

test('a purge cancels what waits, pinned jobs too, and leaves what runs', async () => {
  const held: (() => void)[] = []
  queue.consume(
    async ({ job }) => {
      await new Promise<void>((resolve) => held.push(resolve))
      if (job !== null) await queue.resultStore().finish(job, succeeded(job, 'a'))
      return { kind: 'done' }
    },
    { concurrency: 1 },
  )
  const [running] = await submit(1)
  await expect.poll(() => held.length).toBe(1)
  const waiting = [...(await submit(150)), ...(await submit(2, { versionPinned: true }))]
  expect(await queue.client.purge('m', ['1'])).toBe(152)
  const states = await Promise.all(waiting.map(async ({ id }) => (await myJobs().read(id))?.status))
  expect(new Set(states)).toEqual(new Set(['canceled']))
  held[0]?.()
  expect((await myJobs().waitFor(running?.id ?? '', 10_000))?.status).toBe('succeeded')
  expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
})
