import { createDeferred } from '@vision-queue/process'
import { expect, test, vi } from 'vitest'

import { admittedKey } from '../keys.ts'
import { blobs, newJob, useTestQueue } from '../test-support/test-queue.ts'

const queue = useTestQueue()

test('jobs are told apart by whether a consumer holds them, pinned ones too, and the oldest that waits by its age', async () => {
  const { client, redis } = queue
  expect(await client.backlog('m', ['1'])).toEqual({ waiting: 0, running: 0, oldestWaitingMs: 0 })
  const over = createDeferred<void>()
  const [held, older, newer] = [newJob(), newJob(), { ...newJob(), versionPinned: true }]
  await client.submit(held, blobs)
  queue.consume(
    async () => {
      await over.promise
      return { kind: 'hand-back' }
    },
    { concurrency: 1 },
  )
  await vi.waitFor(async () => expect(await client.backlog('m', ['1'])).toMatchObject({ running: 1, waiting: 0 }))
  await client.submit(older, blobs)
  await client.submit(newer, blobs)
  // As if it had been there for ten seconds; the one that runs for twenty.
  for (const [{ id }, ms] of [
    [older, 10_000],
    [held, 20_000],
  ] as const) {
    await redis.zincrby(admittedKey('m'), -ms, id)
  }
  const backlog = await client.backlog('m', ['1'])
  expect(backlog).toMatchObject({ waiting: 2, running: 1 })
  expect(backlog.oldestWaitingMs).toBeGreaterThan(8000)
  expect(backlog.oldestWaitingMs).toBeLessThan(60_000)
  over.resolve()
})

test('Redis tells of its memory and its disk', async () => {
  const [figures] = await queue.client.redisFigures()
  expect(figures).toMatchObject({ node: '', appendOnlyOk: true, snapshotOk: true })
  expect(figures?.usedBytes).toBeGreaterThan(100_000)
  expect(figures?.answerMs).toBeGreaterThan(0)
})
