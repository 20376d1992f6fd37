import { array, assert, constantFrom, integer, property, record } from 'fast-check'
import { describe, expect, test } from 'vitest'

import { type FleetOptions, type Outcome, type Scaler, simulate, waitOf } from './fleet.ts'
import { readMeasured } from './measured.ts'
import { autoscaler, byCpu, byDrainTime, byWork, fixed } from './scalers.ts'
import { arrivals, expectedJobs } from './traffic.ts'

const fleet: FleetOptions = {
  arrivals: [],
  jobsPerSecond: 10,
  startSeconds: 20,
  everySeconds: 15,
  scrapeSeconds: 15,
  maxQueued: 100_000,
  fewest: 1,
  most: 50,
  consumers: 5,
}
const steady = (jobs: number, seconds = 3600): number[] => Array.from({ length: seconds }, () => jobs)
const sum = (numbers: Iterable<number>): number => [...numbers].reduce((all, one) => all + one, 0)
const answered = ({ waits }: Outcome): number => sum(waits.values())

const scalers: (() => Scaler)[] = [() => fixed(7), () => byCpu(0.6), () => byDrainTime(30), () => byWork(30, 0.8)]
const day = array(integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 400 })

describe('a day of any traffic', () => {
  test('every job is answered, refused or still waiting, under every autoscaler', () => {
    const any = record({
      arrivals: day,
      maxQueued: integer({ min: 0, max: 5000 }),
      startSeconds: integer({ min: 1, max: 200 }),
      scaler: constantFrom(...scalers),
    })
    assert(
      property(any, ({ scaler, ...options }) => {
        const outcome = simulate({ ...fleet, ...options }, scaler())
        expect(answered(outcome) + outcome.refused + outcome.left).toBeCloseTo(sum(options.arrivals), 3)
        expect(outcome.left).toBeLessThanOrEqual(options.maxQueued + 1e-6)
        expect(outcome.mostConsumers).toBeLessThanOrEqual(fleet.most)
        expect(outcome.consumerHours).toBeGreaterThanOrEqual((fleet.fewest * options.arrivals.length) / 3600 - 1e-9)
      }),
      { numRuns: 200 },
    )
  })

  test('more consumers make nobody wait longer', () => {
    assert(
      property(day, integer({ min: 1, max: 30 }), (came, consumers) => {
        const options = { ...fleet, arrivals: came, maxQueued: Infinity }
        const [few, more] = [consumers, consumers + 1].map((count) => {
          const outcome = simulate({ ...options, consumers: count }, fixed(count))
          return {
            mean: sum([...outcome.waits].map(([wait, jobs]) => wait * jobs)),
            left: outcome.left,
            done: answered(outcome),
          }
        })
        expect(more?.left).toBeLessThanOrEqual((few?.left ?? 0) + 1e-6)
        // Of those that few have not answered their waits are not known.
        expect(few?.left === 0 && (more?.mean ?? 0) > few.mean + 1e-6).toBe(false)
      }),
    )
  })
})

test('who comes first is answered first, and waits as the consumers need', () => {
  const outcome = simulate({ ...fleet, arrivals: [100, 0, 0, 0], consumers: 5 }, fixed(5))
  expect([...outcome.waits]).toEqual([
    [0, 50],
    [1, 50],
  ])
  expect([waitOf(outcome, 0.5), waitOf(outcome, 0.51), waitOf(outcome, 1)]).toEqual([0, 1, 1])
})

test('a consumer that was started takes jobs when its time has come, and is paid for from the decision on', () => {
  const one = { ...fleet, arrivals: [0, ...steady(10, 60)], consumers: 1, maxQueued: 0, everySeconds: 1 }
  const outcome = simulate({ ...one, arrivals: steady(0, 60) }, fixed(2))
  expect(outcome.consumerHours * 3600).toBeCloseTo(1 + 2 * 59)
  const waits = simulate({ ...one, arrivals: steady(20, 60), maxQueued: 1e6 }, fixed(2)).left
  // 10 a second are too many until second 20, and nothing is made up for after that.
  expect(waits).toBeCloseTo(200)
})

describe('an autoscaler', () => {
  test('does not go below what was asked for in its window, nor faster than it may', () => {
    const asked = array(integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 100 })
    assert(
      property(asked, (wishes) => {
        let turn = 0
        const behaviour = { downWindowSeconds: 60, down: { share: 0.5, periodSeconds: 30 } }
        const scaler = autoscaler('any', () => wishes[turn] ?? 1, behaviour)
        let current = 10
        for (turn = 0; turn < wishes.length; turn += 1) {
          const figures = { ready: current, busy: 0, queued: 0, submitted: 0, capacity: current }
          const next = scaler.wanted(figures, current, turn * 15)
          const window = wishes.slice(Math.max(0, turn - 3), turn + 1)
          expect(next).toBeLessThanOrEqual(Math.max(2 * current, current + 4))
          expect(next).toBeGreaterThanOrEqual(Math.min(current, ...window, Math.floor(current / 2)))
          expect(next < current && next < Math.max(...window)).toBe(false)
          current = next
        }
      }),
    )
  })

  test('by drain time alone lets a queue grow to its target under a load that never changes; by work it does not', () => {
    const options = { ...fleet, arrivals: steady(60, 4 * 3600), consumers: 8 }
    expect(waitOf(simulate(options, byDrainTime(30)), 0.9)).toBeGreaterThan(10)
    expect(waitOf(simulate(options, byWork(30, 0.8)), 1)).toBe(0)
    expect(waitOf(simulate(options, byCpu(0.6)), 1)).toBe(0)
  })
})

describe('a day of traffic', () => {
  test('has the jobs and the peak that were wished for', () => {
    for (const peakOverMean of [1.5, 2, 3, 4]) {
      const expected = expectedJobs({ jobsADay: 1e6, peakOverMean, burst: { factor: 1, seconds: 0 } })
      expect(sum(expected)).toBeCloseTo(1e6, 0)
      expect(expected.reduce((most, one) => Math.max(most, one)) / (1e6 / 86_400)).toBeCloseTo(peakOverMean, 2)
    }
  })

  test('is the same in every run of a seed, and its jobs are as many as were expected, give or take chance', () => {
    const expected = steady(3, 20_000)
    expect(arrivals(expected, 5)).toEqual(arrivals(expected, 5))
    expect(arrivals(expected, 5)).not.toEqual(arrivals(expected, 6))
    for (const mean of [3, 500]) {
      const came = arrivals(steady(mean, 20_000), 7)
      expect(Math.abs(sum(came) / 20_000 - mean)).toBeLessThan(5 * Math.sqrt(mean / 20_000))
    }
  })
})

test('what was measured last is read from docs/benchmarks.json', async () => {
  const measured = await readMeasured(new URL('../../docs/benchmarks.json', import.meta.url))
  for (const value of [measured.apiMs, measured.redisMs, measured.consumerMs, measured.engineMs]) {
    expect(value).toBeGreaterThan(0.01)
    expect(value).toBeLessThan(100)
  }
})
