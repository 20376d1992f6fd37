import { describe, expect, it } from 'vitest'

import { seededRandom } from '@vision-queue/test-support/seeded-random'
import { createCostModel, type CostModel } from './batch-cost.ts'
import { bestBatchSize } from './batch-size.ts'

const seeds = [1, 2, 3, 4, 5]

interface Truth {
  a: number
  b: number
}

/** Launches of a machine whose runs take a + b·n, 10 % more or less, and now and then three times that. */
function observe(
  model: CostModel,
  { a, b }: Truth,
  { launches, sizeOf, random }: { launches: number; sizeOf: (launch: number) => number; random: () => number },
): void {
  for (let launch = 0; launch < launches; launch += 1) {
    const size = sizeOf(launch)
    const disturbed = random() < 0.02 ? 3 : 1
    model.observe(size, (a + b * size) * (0.9 + 0.2 * random()) * disturbed)
  }
}

const off = (found: number, truth: number): number => Math.abs(found - truth) / truth

describe.each(seeds)('the cost of launches (seed %i)', (seed) => {
  it.each([
    { a: 5, b: 1 },
    { a: 0.5, b: 3 },
    { a: 20, b: 0.2 },
  ])('is found under noise: $a + $b n', (truth) => {
    const random = seededRandom(seed)
    const model = createCostModel()
    observe(model, truth, { launches: 400, sizeOf: () => 1 + Math.floor(random() * 32), random })
    for (const size of [1, 8, 32]) {
      expect(off(model.predict(size) ?? 0, truth.a + truth.b * size)).toBeLessThan(size === 1 ? 0.35 : 0.15)
    }
  })

  it('keeps its split while all batches have one size, and follows the speed of the machine', () => {
    const random = seededRandom(seed)
    const seed6 = [1, 32].map((size) => ({ size, runMs: 6 + 2 * size }))
    const model = createCostModel(seed6)
    observe(model, { a: 6, b: 2 }, { launches: 1000, sizeOf: () => 4, random })
    expect(off(model.predict(32) ?? 0, 70)).toBeLessThan(0.15)
    // Everything takes twice as long now; no other size was seen.
    observe(model, { a: 12, b: 4 }, { launches: 300, sizeOf: () => 4, random })
    expect(off(model.predict(4) ?? 0, 28)).toBeLessThan(0.1)
    expect(off(model.predict(32) ?? 0, 140)).toBeLessThan(0.2)
  })

  it('forgets an old regime within some launches', () => {
    const random = seededRandom(seed)
    const model = createCostModel()
    const sizeOf = (): number => 1 + Math.floor(random() * 16)
    observe(model, { a: 5, b: 1 }, { launches: 1000, sizeOf, random })
    observe(model, { a: 2, b: 6 }, { launches: 250, sizeOf, random })
    expect(off(model.predict(16) ?? 0, 98)).toBeLessThan(0.15)
    expect(model.figures?.perItemMs).toBeGreaterThan(4)
  })

  it('learns both from one size by the probes that it asks for', () => {
    const random = seededRandom(seed)
    const model = createCostModel()
    let probes = 0
    observe(
      model,
      { a: 8, b: 1 },
      {
        launches: 1500,
        sizeOf: () => {
          if (model.needsProbe) probes += 1
          return model.needsProbe ? 8 : 16
        },
        random,
      },
    )
    expect(probes).toBeGreaterThan(10)
    expect(probes).toBeLessThan(200)
    expect(off(model.predict(1) ?? 0, 9)).toBeLessThan(0.5)
    expect(off(model.predict(32) ?? 0, 40)).toBeLessThan(0.25)
  })
})

it('a warm-up that was disturbed does not keep batches small for ever', () => {
  const random = seededRandom(5)
  // The larger run was disturbed, so that nothing seems to be fixed.
  const model = createCostModel([
    { size: 1, runMs: 0.5 },
    { size: 32, runMs: 60 },
  ])
  for (let round = 0; round < 30; round += 1) {
    const { figures } = model
    expect(figures && bestBatchSize(figures, { maxBatchSize: 32, objectiveMs: 0 })).toBeGreaterThanOrEqual(16)
    observe(model, { a: 5, b: 1 }, { launches: 10, sizeOf: () => 1, random })
  }
})

it('is not bent by one run that was disturbed', () => {
  const model = createCostModel()
  for (let launch = 0; launch < 100; launch += 1) model.observe(1 + (launch % 8), 5 + (1 + (launch % 8)))
  model.observe(4, 900)
  expect(model.predict(4)).toBeCloseTo(9, 0)
})

it('leaves out the first run of each size, in which allocations are made', () => {
  const model = createCostModel([{ size: 1, runMs: 3 }])
  model.observe(1, 3)
  const before = model.predict(8)
  model.observe(8, 500)
  expect(model.predict(8)).toBe(before)
  for (let launch = 0; launch < 20; launch += 1) model.observe(8, 10)
  expect(model.predict(8)).toBeCloseTo(10, 0)
})

it('knows a cost from the warm-up alone, and nothing without it', () => {
  expect(createCostModel().figures).toBeNull()
  expect(createCostModel().predict(4)).toBeNull()
  const model = createCostModel([
    { size: 1, runMs: 3 },
    { size: 32, runMs: 34 },
  ])
  expect(model.predict(16)).toBeCloseTo(18, 0)
  expect(model.figures?.p99OverMs).toBe(0)
})

it('keeps the 99th percentile of what launches took beyond the prediction', () => {
  const model = createCostModel([
    { size: 1, runMs: 10 },
    { size: 2, runMs: 10 },
  ])
  for (let launch = 0; launch < 256; launch += 1) model.observe(1, launch % 50 === 49 ? 40 : 10)
  expect(model.figures?.p99OverMs).toBeGreaterThan(20)
  expect(model.figures?.fixedMs).toBeLessThan(14)
})

it('never predicts less for more, nor less than nothing', () => {
  const random = seededRandom(7)
  const model = createCostModel()
  for (let launch = 0; launch < 500; launch += 1) {
    model.observe(1 + Math.floor(random() * 4), random() * 10)
    const { fixedMs = 0, perItemMs = 0 } = model.figures ?? {}
    expect(Math.min(fixedMs, perItemMs)).toBeGreaterThanOrEqual(0)
  }
})
