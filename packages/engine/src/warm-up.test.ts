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
