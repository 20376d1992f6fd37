import type { LoadStep } from '@vision-queue/protocol'
import { describe, expect, it, vi } from 'vitest'

import { warmUp } from './warm-up.ts'

/** A model of which a job takes 10 ms, and a size that it meets for the first time `compileMs` more. */
function slowModel(compileMs: number) {
  const sizes: number[] = []
  const run = async (jobs: readonly number[]): Promise<Record<string, never>[]> => {
    const wasThere = sizes.includes(jobs.length)
    sizes.push(jobs.length)
    await vi.advanceTimersByTimeAsync(10 * jobs.length + (wasThere ? 0 : compileMs))
    return jobs.map(() => ({}))
  }
  return { sizes, run }
}

describe('a warm-up with a limit', () => {
  it.each([
    [1000, 'no limit is met', Infinity, 32],
    [1000, 'the size of 4 begins within 2.5 s, that of 8 does not', 2500, 4],
    [1000, 'one job is always run', 1, 1],
  ])('of a provider that takes %i ms for each size: %s', async (compileMs, _, limitMs, maxBatchSize) => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] })
    const { run, sizes } = slowModel(compileMs)
    const preparedSizes = [1, 2, 4, 8, 16, 32]
    const warm = await warmUp(run, async () => 1, { wantedBatchSize: 32, timedRuns: 0, preparedSizes, limitMs })
    vi.useRealTimers()
    expect(warm.maxBatchSize).toBe(maxBatchSize)
    expect(Math.max(...sizes)).toBe(maxBatchSize)
  })

  it.each([
    [Infinity, 32],
    [100, 10],
    [5, 1],
  ])('of a model whose jobs take 10 ms, within %d ms', async (limitMs, maxBatchSize) => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout'] })
    const { run } = slowModel(0)
    const warm = await warmUp(run, async () => 1, { wantedBatchSize: 32, timedRuns: 1, limitMs })
    vi.useRealTimers()
    expect(warm.maxBatchSize).toBe(maxBatchSize)
  })
})

it('tells each run before it begins, and how many there will be, more where memory ran out', async () => {
  const run = async (jobs: readonly number[]) => {
    if (jobs.length > 4) throw new Error('Failed to allocate memory for requested buffer of size 1')
    return jobs.map(() => ({}))
  }
  const told: LoadStep[] = []
  const onStep = async (step: LoadStep): Promise<void> => void told.push(step)
  await warmUp(run, async () => 1, { wantedBatchSize: 4, timedRuns: 1, onStep })
  expect(told).toEqual([1, 2, 3, 4].map((at) => ({ step: 'warming_up', at, of: 4 })))
  told.length = 0
  await warmUp(run, async () => 1, { wantedBatchSize: 8, timedRuns: 1, onStep })
  expect(told.map(({ at, of }) => `${at}/${of}`)).toEqual(['1/4', '2/4', '3/4', '4/4', '5/5'])
  told.length = 0
  await warmUp(run, async () => 1, { wantedBatchSize: 4, timedRuns: 0, preparedSizes: [1, 2, 4], onStep })
  expect(told.at(-1)).toEqual({ step: 'warming_up', at: 4, of: 4 })
})
