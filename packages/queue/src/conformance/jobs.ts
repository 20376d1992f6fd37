import type { Job } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import { nobody, output, owner, type Suite } from './suite.ts'

const everything = { status: null, model: null, cursor: null, limit: 100 }

/** Being queued, run, waited for and listed. */
export function describeJobs({ queue, submit, mine }: Suite): void {
  test('is queued, runs and ends, and is read as it is by its owner alone', async () => {
    const { id, metadata } = await submit()
    expect(await mine().read(id)).toMatchObject({ id, owner, status: 'queued', attempts: 0, metadata })
    await queue().run(id)
    expect(await mine().read(id)).toMatchObject({ status: 'running', attempts: 1 })
    await queue().finish(id, 'succeeded', output)
    expect(await mine().read(id)).toMatchObject({ status: 'succeeded', output, error: null })
    expect(await mine().read(nobody)).toBeNull()
    for (const other of ['somebody else', null]) {
      const others = queue().client.of(other)
      expect(await others.read(id)).toBeNull()
      expect(await others.waitFor(id, 60_000)).toBeNull()
      expect(await others.cancel(id)).toBeNull()
      expect(await others.readForRetry(id)).toBeNull()
      expect(await others.list(everything)).toEqual({ jobs: [], next: null })
      await expect(others.events(id).open()).rejects.toMatchObject({ code: 'job_not_found' })
    }
  })

  test('that is submitted and waited for is given as it ends, or as it is when the time is up', async () => {
    const { job, blobs } = queue().newJob()
    const waiting = queue().client.submitAndWait({ ...job, owner }, blobs, { timeoutMs: 20_000 })
    await expect.poll(async () => (await mine().read(job.id))?.status).toBe('queued')
    await queue().run(job.id)
    await queue().finish(job.id, 'succeeded', output)
    expect((await waiting).job).toMatchObject({ status: 'succeeded', output })
    const late = queue().newJob()
    const accepted = await queue().client.submitAndWait(late.job, late.blobs, { timeoutMs: 20 })
    expect(accepted.job.status).not.toBe('succeeded')
  })

  test('that is waited for is given as it ends, as it is when the time is up, or null', async () => {
    const { id } = await submit()
    expect(await mine().waitFor(id, 20)).toMatchObject({ status: 'queued' })
    expect(await mine().waitFor(id, 60_000, AbortSignal.abort())).toMatchObject({ status: 'queued' })
    expect(await mine().waitFor(nobody, 60_000)).toBeNull()
    const waiting = mine().waitFor(id, 60_000)
    await queue().run(id)
    await queue().finish(id, 'succeeded', output)
    expect(await waiting).toMatchObject({ status: 'succeeded', output })
    expect(await mine().waitFor(id, 60_000)).toMatchObject({ status: 'succeeded' })
  })

  test('is listed for its owner, newest first, by state, in parts', async () => {
    const createdAt = Date.now()
    const jobs = [await submit({ createdAt }), await submit({ createdAt: createdAt + 1 })]
    await submit({ owner: 'somebody else' })
    const [first = '', second = ''] = jobs.map(({ id }) => id)
    const idsOf = async (query: Partial<typeof everything> | { status: Job['status'] }): Promise<string[]> =>
      (await mine().list({ ...everything, ...query })).jobs.map(({ id }) => id)
    expect(await idsOf({})).toEqual([second, first])
    await mine().cancel(first)
    expect(await idsOf({ status: 'canceled' })).toEqual([first])
    expect(await idsOf({ status: 'queued' })).toEqual([second])
    const part = await mine().list({ ...everything, limit: 1 })
    expect(part.jobs.map(({ id }) => id)).toEqual([second])
    const rest = await mine().list({ ...everything, cursor: part.next })
    expect(rest).toMatchObject({ jobs: [{ id: first }], next: null })
  })
}

/** Being canceled, read for another try, and what both leave. */
export function describeEnds({ queue, submit, mine }: Suite): void {
  test('is there once it is canceled, and stays what it was first', async () => {
    const [waits, runs, done] = [await submit(), await submit(), await submit()]
    expect(await mine().cancel(waits.id)).toMatchObject({ status: 'canceled' })
    await queue().run(runs.id)
    expect(await mine().cancel(runs.id)).toMatchObject({ status: 'canceled' })
    await queue().run(done.id)
    await queue().finish(done.id, 'succeeded', output)
    expect(await mine().cancel(done.id)).toMatchObject({ status: 'succeeded', output })
    expect(await mine().read(runs.id)).toMatchObject({ status: 'canceled', output: null })
    expect(await mine().cancel(nobody)).toBeNull()
  })

  test('without success lets the job be read for another try, and no other end does', async () => {
    const [waits, canceled] = [await submit(), await submit()]
    await mine().cancel(canceled.id)
    const { id, model, input, parameters, metadata } = canceled
    expect(await mine().readForRetry(id)).toMatchObject({ id, model, owner, input, parameters, metadata })
    await expect(mine().readForRetry(waits.id)).rejects.toMatchObject({ code: 'job_not_retryable' })
    await queue().run(waits.id)
    await queue().finish(waits.id, 'succeeded', output)
    await expect(mine().readForRetry(waits.id)).rejects.toMatchObject({ code: 'job_not_retryable' })
    expect(await mine().readForRetry(nobody)).toBeNull()
  })

  test('makes room: a job counts as waiting for its model until then', async () => {
    const jobs = [await submit(), await submit()]
    const [{ model, id }] = [jobs[0] ?? (await submit())]
    expect(await queue().client.depth(model)).toMatchObject({ jobs: 2 })
    await mine().cancel(id)
    expect(await queue().client.depth(model)).toMatchObject({ jobs: 1 })
    expect(await queue().client.purge(model, [])).toBe(1)
    expect(await queue().client.depth(model)).toMatchObject({ jobs: 0 })
    expect((await mine().read(jobs[1]?.id ?? ''))?.status).toBe('canceled')
  })
}
