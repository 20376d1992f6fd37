import { finalJob } from '../job-forms.ts'
import { describe, expect, test } from 'vitest'

import { createModelForgetting } from './forget-model.ts'
import type { JobSourceOptions } from './job-source.ts'
import { blobs, newJob, quiet, succeeded, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()

describe('the consumer’s side', () => {
  test('a job handed back is delivered again, and a delayed one later', async () => {
    const [back, late] = [newJob(), newJob()]
    const results = queue.resultStore()
    queue.consume(async ({ job, attempts }) => {
      if (job === null) throw new Error('unreadable')
      if (job.id === back.id && attempts === 1) return { kind: 'hand-back' }
      if (job.id === late.id && attempts === 1) return { kind: 'delay', delayMs: 50 }
      await results.finish(job, finalJob(job, { status: 'succeeded', attempts }, 60_000))
      return { kind: 'done' }
    })
    for (const job of [back, late]) {
      await queue.client.submit(job, blobs)
      expect(await queue.client.waitFor(job.id, 10_000)).toMatchObject({ status: 'succeeded', attempts: 2 })
    }
  })

  test('a job of a newer release is in the log with its id and its request, and so is an attempt that fails', async () => {
    const context = { requestId: 'req_1', traceparent: null }
    const job = { ...newJob(), context }
    await queue.client.submit(job, blobs)
    await queue.redis.hset(`vq:{m}:jobs:${job.id}`, 'data', JSON.stringify({ version: 99, context }))
    const lines: object[] = []
    const log = { ...quiet, error: (fields: object) => lines.push(fields) }
    const handle: JobSourceOptions['handle'] = async (delivery) => {
      expect(delivery.job).toBeNull()
      throw new Error('cannot be read')
    }
    queue.consume(handle, { log })
    await expect.poll(() => lines.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(2)
    for (const line of lines) expect(line).toMatchObject({ job_id: job.id, request_id: 'req_1', model: 'm' })
  })

  test('a job that can never be finished still gets a final state', async () => {
    const job = newJob()
    await queue.client.submit(job, blobs)
    // BullMQ's own record of a job that failed in every attempt.
    await queue.redis.hset(`vq:{m}:jobs:${job.id}`, 'opts', JSON.stringify({ attempts: 1 }))
    queue.consume(async () => {
      throw new Error('no result could be stored')
    })
    await expect.poll(async () => (await queue.client.read(job.id))?.status, { timeout: 10_000 }).toBe('failed')
    expect(await queue.client.read(job.id)).toMatchObject({ error: { code: 'inference_failed' } })
  })
})

describe('pinned jobs', () => {
  test('go to who takes those of their version, and wait where nobody does', async () => {
    const taken: string[] = []
    const handleAs =
      (name: string): JobSourceOptions['handle'] =>
      async ({ job }) => {
        if (job !== null) {
          taken.push(`${name} ${job.modelVersion}`)
          await queue.resultStore().finish(job, succeeded(job, name))
        }
        return { kind: 'done' }
      }
    const [any, one, two] = [newJob(), newJob(), newJob()]
    Object.assign(one, { versionPinned: true })
    Object.assign(two, { versionPinned: true, modelVersion: '2' })
    queue.consume(handleAs('all'))
    queue.consume(handleAs('first'), { pinnedTo: '1' })
    for (const job of [any, one, two]) await queue.client.submit(job, blobs)
    await Promise.all([any, one].map(async ({ id }) => queue.client.waitFor(id, 10_000)))
    expect(taken.toSorted()).toEqual(['all 1', 'first 1'])
    expect((await queue.client.read(two.id))?.status).toBe('queued')
    queue.consume(handleAs('second'), { pinnedTo: '2' })
    expect((await queue.client.waitFor(two.id, 10_000))?.output).toEqual({ answer: 'second' })
  })

  test('keep their version known, and others the last one of their model', async () => {
    await queue.redis.hset('vq:models', 'm@1', '{}', 'm@2', '{}')
    const durable = queue.redis.duplicate({ maxRetriesPerRequest: null })
    queue.atEnd(() => durable.disconnect())
    await durable.ping()
    const forgetting = createModelForgetting(durable)
    queue.atEnd(() => forgetting.close())
    const pinned = { ...newJob(), versionPinned: true }
    await queue.client.submit(pinned, blobs)
    expect(await forgetting.forget('m', '1')).toBe(false)
    expect(await forgetting.forget('m', '2')).toBe(true)
    expect(await queue.redis.hkeys('vq:models')).toEqual(['m@1'])
    queue.consume(
      async ({ job }) => {
        if (job !== null) await queue.resultStore().finish(job, succeeded(job, 'a'))
        return { kind: 'done' }
      },
      { pinnedTo: '1' },
    )
    await queue.client.waitFor(pinned.id, 10_000)
    await expect.poll(async () => forgetting.forget('m', '1')).toBe(true)
    expect(await queue.redis.hkeys('vq:models')).toEqual([])
  })
})
