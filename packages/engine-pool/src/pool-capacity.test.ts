import { describe, expect, it } from 'vitest'

import { seededRandom } from '@vision-queue/test-support/seeded-random'
import { type AnsweredJobs, jobsPerSecond, newCapacityFigures, observeAnswers } from './pool-capacity.ts'

const cost = { fixedMs: 2, perItemMs: 1, p99OverMs: 0, batchSize: 8 }
const now = { cost, engines: 2 }

function setUp(cores = 2) {
  let at = 0
  const figures = newCapacityFigures()
  const meter = {
    observe: (message: AnsweredJobs) => observeAnswers(figures, message, at),
    capacity: (machine: { cost: typeof cost | null; engines: number }) => jobsPerSecond(figures, { ...machine, cores }),
  }
  /** Answers come in batches, evenly spread but for 20 % noise. */
  const answer = (options: {
    rate: number
    size: number
    batches: number
    busy: boolean
    cpuMsPerJob?: number
  }): void => {
    const random = seededRandom(3)
    const { rate, size, batches, busy, cpuMsPerJob = 4 } = options
    for (let batch = 0; batch < batches; batch += 1) {
      at += (size / rate) * 1000 * (0.8 + 0.4 * random())
      meter.observe({ answered: size, batches: 1, cpuMs: cpuMsPerJob * size, busy })
    }
  }
  const wait = (ms: number): void => {
    at += ms
  }
  return { meter, answer, wait }
}

const isWithin2 = (found: number | null, truth: number): boolean =>
  found !== null && found > truth / 2 && found < truth * 2

describe('capacity', () => {
  it('is the rate at which jobs are answered while there is always work', () => {
    const { meter, answer } = setUp()
    answer({ rate: 400, size: 8, batches: 200, busy: true })
    expect(meter.capacity(now)).toBeGreaterThan(360)
    expect(meter.capacity(now)).toBeLessThan(460)
  })

  it('is not lowered by quiet times and light load, and follows a slower machine', () => {
    const { meter, answer, wait } = setUp()
    answer({ rate: 400, size: 8, batches: 200, busy: true })
    const before = meter.capacity(now)
    wait(60_000)
    answer({ rate: 5, size: 1, batches: 100, busy: false })
    expect(meter.capacity(now)).toBe(before)
    answer({ rate: 100, size: 8, batches: 200, busy: true })
    expect(isWithin2(meter.capacity(now), 100)).toBe(true)
  })

  it('is told from the CPU time of jobs while there was only light load', () => {
    const { meter, answer } = setUp(2)
    answer({ rate: 5, size: 1, batches: 30, busy: false, cpuMsPerJob: 6 })
    // 4 ms each in full batches, on two cores.
    expect(isWithin2(meter.capacity(now), 470)).toBe(true)
  })

  it('is bounded by the runs of one engine where there are many cores', () => {
    const { meter, answer } = setUp(64)
    answer({ rate: 5, size: 1, batches: 30, busy: false })
    expect(isWithin2(meter.capacity({ cost, engines: 1 }), 800)).toBe(true)
  })

  it('is never below a rate that was seen', () => {
    const { meter, answer } = setUp(1)
    answer({ rate: 900, size: 8, batches: 400, busy: false, cpuMsPerJob: 40 })
    expect(isWithin2(meter.capacity(now), 900)).toBe(true)
  })

  it('counts no lull in which engines had nothing to do', () => {
    const { meter, answer, wait } = setUp()
    for (let burst = 0; burst < 30; burst += 1) {
      answer({ rate: 400, size: 8, batches: 8, busy: true })
      answer({ rate: 400, size: 8, batches: 1, busy: false })
      wait(5000)
    }
    expect(isWithin2(meter.capacity(now), 400)).toBe(true)
  })

  it('is unknown before anything is known, and guessed from the warm-up alone', () => {
    const { meter } = setUp()
    expect(meter.capacity({ cost: null, engines: 2 })).toBeNull()
    expect(meter.capacity(now)).toBeGreaterThan(0)
  })
})
