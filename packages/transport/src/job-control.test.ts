import { type Job, resultKey } from '@vision-queue/jobs'
import { describe, expect, test } from 'vitest'

import { image, newJob, nobody, succeeded, useTestQueue } from './test-support/test-queue.ts'

const queue = useTestQueue()

describe('a canceled job', () => {
  test('that waits ends at once, whichever API process is asked, and leaves its place and its image', async () => {
    const job = newJob()
    await queue.client.submit(job, image)
    const seen: Job[] = []
    const watch = await queue.client.watch(job.id, (change) => seen.push(change))
    const other = await queue.connect()
    expect(await other.cancel(job.id)).toMatchObject({ status: 'canceled', output: null, attempts: 0 })
    await expect.poll(() => seen.map(({ status }) => status)).toEqual(['queued', 'canceled'])
    watch?.close()
    expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
    const left = (await queue.redis.keys('*')).filter((key) => key.includes(job.id) || key.includes(job.image.hash))
    expect(left).toEqual([resultKey(job.id)])
    const taken: string[] = []
    queue.consume(async ({ id, job: delivered }) => {
      taken.push(id)
      if (delivered !== null) await queue.resultStore().finish(delivered, succeeded(delivered, 'a'))
      return { kind: 'done' }
    })
    const next = newJob()
    await queue.client.submit(next, image)
    await queue.client.waitFor(next.id, 10_000)
    expect(taken).toEqual([next.id])
  })

  test('that runs is dropped by its consumer, and a result that comes after all is not seen', async () => {
    const [obedient, deaf] = [newJob(), newJob()]
    const results = queue.resultStore()
    const cancellations = queue.listenForCancellations()
    let launch = (): void => {}
    queue.consume(async ({ job }) => {
      if (job === null) throw new Error('unreadable')
      const { signal, release } = cancellations.hold(job.id)
      await new Promise<void>((resolve) => {
        if (job.id === obedient.id) signal.addEventListener('abort', () => resolve())
        else launch = resolve
      })
      release()
      const late = await results.finish(job, succeeded(job, 'late'))
      expect(late).toBe(false)
      return { kind: 'done' }
    })
    for (const job of [obedient, deaf]) {
      await queue.client.submit(job, image)
      await expect.poll(async () => (await queue.client.read(job.id))?.status).toBe('running')
      expect(await queue.client.cancel(job.id)).toMatchObject({ status: 'canceled', attempts: 1 })
    }
    launch()
    await expect.poll(async () => queue.redis.exists(`vq:{m}:jobs:${obedient.id}`, `vq:{m}:jobs:${deaf.id}`)).toBe(0)
    for (const { id } of [obedient, deaf]) {
      expect(await queue.client.read(id)).toMatchObject({ status: 'canceled', output: null })
    }
  })

  test('that is final stays as it is, again and again; one that nobody knows is null', async () => {
    const [done, canceled] = [newJob(), newJob()]
    for (const job of [done, canceled]) await queue.client.submit(job, image)
    await queue.resultStore().finish(done, succeeded(done, 'a'))
    expect(await queue.client.cancel(done.id)).toMatchObject({ status: 'succeeded', output: { answer: 'a' } })
    const first = await queue.client.cancel(canceled.id)
    expect(await queue.client.cancel(canceled.id)).toEqual(first)
    expect(await queue.client.cancel(nobody)).toBeNull()
  })

  test('has one final state, the same for all, however closely its cancellation and its result race', async () => {
    const roomy = await queue.connect({ maxJobs: 100, maxBytes: 100_000 })
    const results = queue.resultStore()
    queue.consume(async ({ job }) => {
      if (job !== null) await results.finish(job, succeeded(job, 'a'))
      return { kind: 'done' }
    })
    const jobs = Array.from({ length: 60 }, () => newJob())
    await Promise.all(
      jobs.map(async (job, index) => {
        const seen: (string | undefined)[] = []
        await roomy.submit(job, image)
        const watch = await roomy.watch(job.id, ({ status }) => void seen.push(status))
        if (index % 3 > 0) await new Promise((resolve) => void setTimeout(resolve, index % 7))
        const told = await roomy.cancel(job.id)
        await expect.poll(() => seen.at(-1)).toBe(told?.status)
        expect(await roomy.read(job.id)).toEqual(told)
        expect(seen.filter((status) => status === 'canceled' || status === 'succeeded')).toHaveLength(1)
        watch?.close()
      }),
    )
    await expect.poll(async () => roomy.depth('m')).toEqual({ jobs: 0, bytes: 0 })
    await expect.poll(async () => (await queue.redis.keys('vq:{m}:jobs:job_*')).length).toBe(0)
  })
})

test('a job whose deadline passes while no consumer is there is expired for whoever asks', async () => {
  const job = { ...newJob(), deadlineAt: Date.now() + 20 }
  await queue.client.submit(job, image)
  await expect
    .poll(async () => queue.client.read(job.id))
    .toMatchObject({ status: 'expired', error: { code: 'deadline_exceeded' } })
  expect(await queue.client.depth('m')).toEqual({ jobs: 0, bytes: 0 })
  expect(await queue.redis.exists(`vq:{m}:jobs:${job.id}`)).toBe(0)
})
