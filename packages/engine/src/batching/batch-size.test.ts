import { describe, expect, it } from 'vitest'

import { bestBatchSize, createSizeCap } from './batch-size.ts'

const throughput = (a: number, b: number, n: number): number => n / (a + b * n)

describe('the size that is worth its latency', () => {
  it.each([
    [1, 1],
    [0.5, 20],
    [30, 0.1],
    [0.01, 5],
  ])('leaves at most 2.5 % of throughput behind (a = %d, b = %d)', (fixedMs, perItemMs) => {
    const size = bestBatchSize(
      { fixedMs, fixedMostMs: fixedMs, perItemMs, p99OverMs: 0 },
      { maxBatchSize: 64, objectiveMs: 0 },
    )
    expect(throughput(fixedMs, perItemMs, size)).toBeGreaterThan(0.97 * throughput(fixedMs, perItemMs, 64))
  })

  it('is 1 where batches bring nothing, and the most there is where they cost nothing', () => {
    const limits = { maxBatchSize: 32, objectiveMs: 0 }
    expect(bestBatchSize({ fixedMs: 0.5, fixedMostMs: 0.5, perItemMs: 50, p99OverMs: 0 }, limits)).toBe(1)
    expect(bestBatchSize({ fixedMs: 5, fixedMostMs: 5, perItemMs: 0, p99OverMs: 0 }, limits)).toBe(32)
  })

  it('fits two batches and the slowest hundredth into the objective, and is never below 1', () => {
    const cost = { fixedMs: 10, fixedMostMs: 10, perItemMs: 5, p99OverMs: 20 }
    for (const objectiveMs of [80, 100, 120, 200]) {
      const size = bestBatchSize(cost, { maxBatchSize: 32, objectiveMs })
      const fits = (n: number): boolean => 2 * (10 + 5 * n) + 20 <= objectiveMs
      expect(size === 1 || fits(size)).toBe(true)
      expect(size === 32 || !fits(size + 1)).toBe(true)
    }
  })
})

it('is not made small by a fixed part that is only poorly known, nor by disturbances of runs of any size', () => {
  const cost = { fixedMs: 0, fixedMostMs: Infinity, perItemMs: 5, p99OverMs: 0 }
  expect(bestBatchSize(cost, { maxBatchSize: 32, objectiveMs: 0 })).toBe(32)
  expect(bestBatchSize({ ...cost, p99OverMs: 1e6 }, { maxBatchSize: 32, objectiveMs: 400 })).toBe(30)
})

it('does not ruin throughput for an objective that can not be met, or hardly', () => {
  const limits = { maxBatchSize: 32, objectiveMs: 1000 }
  expect(bestBatchSize({ fixedMs: 1490, fixedMostMs: 1500, perItemMs: 10, p99OverMs: 0 }, limits)).toBe(32)
  expect(bestBatchSize({ fixedMs: 400, fixedMostMs: 410, perItemMs: 50, p99OverMs: 0 }, limits)).toBe(8)
})

describe('the safety net', () => {
  it('shrinks when launches of a size take longer than allowed, and grows back one at a time', () => {
    const cap = createSizeCap(32)
    const over = { actualMs: 100, allowedMs: 50 }
    cap.observe({ size: 32, ...over })
    expect(cap.limit).toBe(32)
    cap.observe({ size: 32, ...over })
    expect(cap.limit).toBe(22)
    cap.observe({ size: 22, ...over })
    cap.observe({ size: 22, ...over })
    expect(cap.limit).toBe(15)
    for (let launch = 0; launch < 3; launch += 1) cap.observe({ size: 15 + launch, actualMs: 10, allowedMs: 50 })
    expect(cap.limit).toBe(18)
    for (let launch = 0; launch < 100; launch += 1) cap.observe({ size: 32, actualMs: 10, allowedMs: 50 })
    expect(cap.limit).toBe(32)
  })

  it('takes one slow launch for noise, and does not grow by launches that did not try', () => {
    const cap = createSizeCap(8)
    for (let launch = 0; launch < 20; launch += 1) {
      cap.observe({ size: 8, actualMs: launch % 2 === 0 ? 100 : 10, allowedMs: 50 })
    }
    expect(cap.limit).toBe(8)
    for (let launch = 0; launch < 2; launch += 1) cap.observe({ size: 8, actualMs: 100, allowedMs: 50 })
    for (let launch = 0; launch < 20; launch += 1) cap.observe({ size: 2, actualMs: 1, allowedMs: 50 })
    expect(cap.limit).toBe(5)
  })

  it('leaves room for one', () => {
    const cap = createSizeCap(2)
    for (let launch = 0; launch < 9; launch += 1) cap.observe({ size: cap.limit, actualMs: 100, allowedMs: 50 })
    expect(cap.limit).toBe(1)
  })
})
