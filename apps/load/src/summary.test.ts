import { expect, test } from 'vitest'

import type { Sample } from './sample.ts'
import { bySecond, summarise } from './summary.ts'

const good: Sample = {
  label: 'load',
  scheduledMs: 0,
  sentMs: 0,
  doneMs: 10,
  status: 200,
  outcome: 'succeeded',
  cached: false,
  times: null,
  retryAfterMs: null,
  serverMs: null,
}

test('latency counts from when a request was due, not from when it was sent', () => {
  const samples = [{ ...good, scheduledMs: 100, sentMs: 400, doneMs: 420 }]

  const { latency, lateness } = summarise({ samples, durationMs: 1000, cpuSeconds: 0 })

  expect(latency.p50).toBe(320)
  expect(lateness.max).toBe(300)
})

test('throughput is what was finished in the time; the warm-up’s requests are in no percentile', () => {
  const samples = [
    { ...good, scheduledMs: -500, doneMs: 100 },
    { ...good, scheduledMs: -500, doneMs: -1 },
    { ...good, scheduledMs: 900, doneMs: 1500 },
    { ...good, scheduledMs: 100, doneMs: 200 },
  ]

  const summary = summarise({ samples, durationMs: 1000, cpuSeconds: 0 })

  expect(summary).toMatchObject({ succeeded: 2, perSecond: 2, sent: 2 })
  expect(summary.latency).toMatchObject({ count: 2, max: 600 })
})

test('refusals are no errors, and everything else that did not succeed is one', () => {
  const samples = [
    good,
    { ...good, status: 429, outcome: 'queue_full' },
    { ...good, status: 200, outcome: 'deadline_exceeded' },
    { ...good, status: 0, outcome: 'ECONNRESET' },
    { ...good, status: 202, outcome: 'unfinished' },
  ]

  const summary = summarise({ samples, durationMs: 1000, cpuSeconds: 0 })

  expect(summary).toMatchObject({ refused: 1, errors: 3, sent: 5 })
  expect(summary.outcomes).toEqual({
    succeeded: 1,
    queue_full: 1,
    deadline_exceeded: 1,
    ECONNRESET: 1,
    unfinished: 1,
  })
  expect(summary.latency.count).toBe(1)
})

test('a second without answers shows as such', () => {
  const seconds = bySecond([good, { ...good, doneMs: 2500 }], 3000)

  expect(seconds.map(({ succeeded }) => succeeded)).toEqual([1, 0, 1])
  expect(seconds[1]?.latency.p99).toBeNaN()
})
