import { existsSync } from 'node:fs'

import { afterEach, expect, it, vi } from 'vitest'

import { ask, askAll, closeUnrulyPools, openUnrulyPool, quiet } from '../test/unruly-pool.ts'

afterEach(closeUnrulyPools)

const mb = 2 ** 20
/** Well above what an engine without a model holds, which is about 100 MB. */
const memoryLimitBytes = 400 * mb

it('an engine that is over its memory limit is emptied and replaced, and no job fails', async () => {
  const warned: string[] = []
  const log = { ...quiet, warn: (_: object, message: string) => warned.push(message) }
  const pool = openUnrulyPool({ memoryLimitBytes, log })
  await ask(pool, 'good')
  const [before] = pool.pids
  const questions = Array.from({ length: 12 }, (_, index) => `sleep 30 ${index}`)
  const answers = await askAll(pool, ['grow 340', ...questions])
  expect(answers).toEqual(['grow 340', ...questions])
  await vi.waitFor(async () => {
    expect(await ask(pool, 'sleep 300')).toBe('sleep 300')
    expect(pool.stats().engineRestarts).toBe(1)
  }, 20_000)
  expect(pool.pids).not.toEqual([before])
  expect(warned).toEqual(['an engine holds too much memory; it is replaced'])
  expect(pool.stats().jobs['failed']).toBeUndefined()
})

it.runIf(existsSync('/proc/self/status'))('one whose run takes ever more is killed; that job fails alone', async () => {
  const warned: string[] = []
  const log = { ...quiet, warn: (_: object, message: string) => warned.push(message) }
  const pool = openUnrulyPool({ memoryLimitBytes, log })
  const questions = Array.from({ length: 7 }, (_, index) => `good ${index}`)
  const [eaten, ...answers] = await askAll(pool, ['eat', ...questions])
  expect(eaten).toBe('engine_crashed')
  expect(answers).toEqual(questions)
  // With its batch, and alone.
  expect(warned.filter((message) => message === 'an engine takes too much memory in a run; killed')).toHaveLength(2)
})

it('one that can not do with less is left alone: a new process would hold as much', async () => {
  const warned: string[] = []
  const log = { ...quiet, warn: (_: object, message: string) => warned.push(message) }
  const pool = openUnrulyPool({ memoryLimitBytes: 10 * mb, log })
  await pool.ready
  const before = pool.pids
  expect(await askAll(pool, ['sleep 300', 'good', 'sleep 300 more'])).toEqual(['sleep 300', 'good', 'sleep 300 more'])
  expect(pool.pids).toEqual(before)
  expect(warned).toEqual(['the model alone takes the memory an engine may have'])
})

it('explains its launches, and learns their cost and the capacity from them', async () => {
  const pool = openUnrulyPool()
  for (let round = 0; round < 12; round += 1) {
    await askAll(
      pool,
      Array.from({ length: 8 }, () => 'sleep 10'),
    )
  }
  const { launches, batches, cost, capacity } = pool.stats()
  const explained = Object.values(launches.reasons).reduce((sum, count) => sum + count, 0)
  expect(explained).toBe(Object.values(batches).reduce((sum, count) => sum + count, 0))
  expect(launches.predicted).toBe(explained - 1)
  expect(launches.actualMs).toBeGreaterThan(10 * launches.predicted)
  expect(launches.predictedMs).toBeGreaterThan(0)
  expect((cost?.fixedMs ?? 0) + (cost?.perItemMs ?? 0) * 4).toBeGreaterThan(8)
  // Four jobs in 10 ms and a little.
  expect(capacity).toBeGreaterThan(20)
  expect(capacity).toBeLessThan(800)
})
