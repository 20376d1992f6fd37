import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { seededRandom } from '@vision-queue/test-support/seeded-random'
import { createDynamicBatcher, type DynamicBatcherOptions } from './dynamic-batcher.ts'
import type { BatchItem } from './run-or-split.ts'

interface Item extends BatchItem {
  cameAt: number
}

interface Service {
  a: number
  b: number
  /** Threads that decode, and how long a picture takes. */
  threads: number
  decodeMs: number
  maxBatchSize: number
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/**
 * Poisson arrivals in simulated time: jobs are decoded by some threads, then batched and run. Fake timers
 * count whole milliseconds, so the services below are a hundred times slower than real ones.
 */
async function simulate(
  { a, b, threads, decodeMs, maxBatchSize }: Service,
  {
    meanGapMs,
    seed,
    greedy,
    objectiveMs = 0,
  }: { meanGapMs: number; seed: number; greedy: boolean; objectiveMs?: number },
) {
  // Both batchers meet the same jobs.
  const random = seededRandom(seed)
  const noise = seededRandom(seed + 1)
  const latencies: number[] = []
  let longestRunMs = 0
  let launches = 0
  let busyMs = 0
  let preparing = 0
  const freeAt = Array.from({ length: threads }, () => 0)
  const ours: Partial<DynamicBatcherOptions<Item, true>> = {
    objectiveMs,
    preparing: () => preparing,
    seed: [1, maxBatchSize].map((size) => ({ size, runMs: a + b * size })),
  }
  const batcher = createDynamicBatcher<Item, true>({
    maxBatchSize,
    async run(items) {
      const runMs = (a + b * items.length) * (0.95 + 0.1 * noise())
      busyMs += runMs
      launches += 1
      longestRunMs = Math.max(longestRunMs, runMs)
      await new Promise((resolve) => {
        setTimeout(resolve, runMs)
      })
      return items.map(() => true)
    },
    async onLaunch() {},
    onSettled(outcomes) {
      for (const { item } of outcomes) {
        latencies.push(performance.now() - item.cameAt)
      }
    },
    ...(greedy ? {} : ours),
  })
  let came = 0
  const arrive = (): void => {
    const cameAt = performance.now()
    const thread = freeAt.indexOf(Math.min(...freeAt))
    const doneAt = Math.max(cameAt, freeAt[thread] ?? 0) + decodeMs * (0.5 + random())
    freeAt[thread] = doneAt
    preparing += 1
    setTimeout(() => {
      preparing -= 1
      batcher.add({ cameAt, deadlineAt: null, canceled: false })
    }, doneAt - cameAt)
    came += 1
    if (came < jobs) setTimeout(arrive, -Math.log(1 - random()) * meanGapMs)
  }
  arrive()
  while (latencies.length < jobs) await vi.runOnlyPendingTimersAsync()
  const quantile = (values: number[], share: number): number =>
    values.toSorted((one, other) => one - other)[Math.floor(share * values.length)] ?? NaN
  return {
    launches,
    busyMs,
    p50: quantile(latencies, 0.5),
    p95: quantile(latencies, 0.95),
    longestRunMs,
  }
}

const jobs = 300

describe.each([1, 2, 3])('against a greedy batcher (seed %i)', (seed) => {
  const decoding: Service = { a: 150, b: 70, threads: 3, decodeMs: 600, maxBatchSize: 32 }

  it('where decoding is the bottleneck it pays for fewer launches, and nobody waits longer than they cost', async () => {
    const greedy = await simulate(decoding, { meanGapMs: 240, seed, greedy: true })
    const gathering = await simulate(decoding, { meanGapMs: 240, seed, greedy: false })
    expect(gathering.launches).toBeLessThan(0.9 * greedy.launches)
    expect(gathering.busyMs).toBeLessThan(0.95 * greedy.busyMs)
    expect(gathering.p50).toBeLessThan(greedy.p50 + 2 * decoding.a)
    expect(gathering.p95).toBeLessThan(greedy.p95 + 2 * decoding.a)
  })

  it('under light load both are as quick', async () => {
    const greedy = await simulate(decoding, { meanGapMs: 20_000, seed, greedy: true })
    const gathering = await simulate(decoding, { meanGapMs: 20_000, seed, greedy: false })
    expect(gathering.p50).toBeLessThan(greedy.p50 + 0.1 * decoding.a)
    expect(gathering.p95).toBeLessThan(greedy.p95 + decoding.a)
  })

  it('keeps to the latency objective at a load where greedy batches are far beyond it', async () => {
    const service: Service = { a: 200, b: 500, threads: 8, decodeMs: 100, maxBatchSize: 64 }
    const load = { meanGapMs: 500, seed, objectiveMs: 8000 }
    const greedy = await simulate(service, { ...load, greedy: true })
    const gathering = await simulate(service, { ...load, greedy: false })
    expect(greedy.longestRunMs).toBeGreaterThan(8000 / 2)
    expect(gathering.longestRunMs).toBeLessThan(1.1 * (8000 / 2))
    // What smaller batches cost.
    expect(gathering.busyMs).toBeLessThan(1.1 * greedy.busyMs)
  })
})
