import type { ServingConsumer } from '@vision-queue/queue/producer'
import { expect, test } from 'vitest'

import { etaMs, paceOf } from './pace.ts'

function consumer(capacity: number | null): ServingConsumer {
  return {
    id: 'con_1',
    manifest: null,
    engines: 1,
    enginesUp: 1,
    startedAt: 0,
    heartbeatAt: 0,
    process: { cpuSeconds: 0, engineCpuSeconds: 0, residentBytes: 0, eventLoopDelayMs: 0 },
    stats: {
      batches: { '1': 4, '8': 2 },
      jobs: { succeeded: 20 },
      preprocessMs: 60,
      inferenceMs: 30,
      engineRestarts: 0,
      launches: { reasons: {}, predicted: 0, predictedMs: 0, actualMs: 0 },
      cost: null,
      capacity,
    },
  }
}

test('consumers add up, and a job needs its own time once it is its turn', () => {
  const pace = paceOf([consumer(100), consumer(150), consumer(null)])
  expect(pace).toEqual({ jobsPerSecond: 250, jobMs: 3 + 5 })
  expect(etaMs(0, pace)).toBe(8)
  expect(etaMs(500, pace)).toBe(2008)
})

test('nobody is promised a time while no consumer has a figure', () => {
  expect(paceOf([])).toBeNull()
  expect(paceOf([consumer(null)])).toBeNull()
  expect(etaMs(3, null)).toBeNull()
})
