import { describe, expect, test } from 'vitest'

import { blobs, bytesKeyOf, image, limits, newJob, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()

describe('admission', () => {
  test('a burst is bounded exactly, and the place of a finished job is free again', async () => {
    const jobs = Array.from({ length: 20 }, () => newJob())
    const outcomes = await Promise.allSettled(jobs.map((job) => queue.client.submit(job, blobs)))
    const accepted = jobs.filter((_, index) => outcomes[index]?.status === 'fulfilled')
    expect(accepted).toHaveLength(limits.maxJobs)
    const codes = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []))
    expect(new Set(codes)).toEqual(new Set(['queue_full']))
    const [first] = accepted
    if (first === undefined) throw new Error('none accepted')
    await queue.resultStore().finish(first, succeeded(first, 'a'))
    await expect(queue.client.submit(newJob(), blobs)).resolves.toMatchObject({ queuePosition: limits.maxJobs - 1 })
  })

  test('the bytes of waiting images are bounded', async () => {
    const roomy = await queue.connect({ maxBytes: 250, maxJobs: 100 })
    await roomy.submit(newJob(), blobs)
    await roomy.submit(newJob(), blobs)
    await expect(roomy.submit(newJob(), blobs)).rejects.toMatchObject({ code: 'queue_full' })
    expect(await roomy.depth('m')).toEqual({ jobs: 2, bytes: 200 })
  })

  test('a job submitted again under its id keeps its place and is queued once', async () => {
    const job = newJob()
    await queue.client.submit(job, blobs)
    await queue.client.submit(job, blobs)
    expect(await queue.client.depth('m')).toEqual({ jobs: 1, bytes: 100 })
    const taken: string[] = []
    queue.consume(async ({ id, job: delivered }) => {
      taken.push(id)
      if (delivered !== null) await queue.resultStore().finish(delivered, succeeded(delivered, 'a'))
      return { kind: 'done' }
    })
    await queue.client.waitFor(job.id, 10_000)
    expect(taken).toEqual([job.id])
  })

  test('a job whose deadline would pass before its turn is refused, and told when there will be room', async () => {
    const roomy = await queue.connect({ maxJobs: 100, maxBytes: 100_000 })
    const pace = { jobsPerSecond: 2, jobMs: 10 }
    for (let index = 0; index < 4; index += 1) await roomy.submit(newJob(), blobs, { pace })
    const due = (ms: number) => ({ ...newJob(), deadlineAt: Date.now() + ms })
    await expect(roomy.submit(due(1400), blobs, { pace })).rejects.toMatchObject({
      code: 'deadline_unmeetable',
      // Four jobs are ahead and two would do, at half a second each.
      retryAfterMs: 1000,
    })
    expect(await roomy.depth('m')).toMatchObject({ jobs: 4 })
    await expect(roomy.submit(due(2600), blobs, { pace })).resolves.toMatchObject({ queuePosition: 4 })
    // Nobody has said how fast they are: it is not held against a job.
    await expect(roomy.submit(due(1), blobs)).resolves.toMatchObject({ queuePosition: 5 })
  })

  test('a full queue says when what waits now will be worked off', async () => {
    for (let index = 0; index < limits.maxJobs; index += 1) await queue.client.submit(newJob(), blobs)
    const pace = { jobsPerSecond: 10, jobMs: 5 }
    await expect(queue.client.submit(newJob(), blobs, { pace })).rejects.toMatchObject({
      code: 'queue_full',
      retryAfterMs: (limits.maxJobs / 10) * 1000,
    })
  })

  test('an admission whose job vanished lapses by itself', async () => {
    const hasty = await queue.connect({ payloadTtlMs: 200, maxJobs: 1 })
    await hasty.submit(newJob(), blobs)
    await expect(hasty.submit(newJob(), blobs)).rejects.toMatchObject({ code: 'queue_full' })
    await expect
      .poll(() =>
        hasty.submit(newJob(), blobs).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    expect(await hasty.depth('m')).toMatchObject({ bytes: 100 })
  })
})

describe('payloads', () => {
  test('one image of two jobs is stored once, and goes with the last of them', async () => {
    const [one, two] = [newJob(), newJob()]
    await queue.client.submit(one, blobs)
    await queue.client.submit(two, blobs)
    const key = bytesKeyOf(one)
    await queue.resultStore().finish(one, succeeded(one, 'a'))
    expect(await queue.redis.getBuffer(key)).toEqual(image)
    await queue.resultStore().finish(two, succeeded(two, 'b'))
    expect(await queue.redis.exists(key)).toBe(0)
  })
})
