import type { Sample } from '@vision-queue/load/sample'

import { expect, test } from 'vitest'

import { checkDrains } from './drain.ts'

function job(sentMs: number, doneMs: number): Sample {
  return {
    label: 'load',
    scheduledMs: sentMs,
    sentMs,
    doneMs,
    status: 200,
    outcome: 'succeeded',
    cached: false,
    times: null,
    retryAfterMs: null,
    serverMs: null,
  }
}

function refusal(atMs: number, retryAfterMs: number | null): Sample {
  return { ...job(atMs, atMs), status: 429, outcome: 'queue_full', retryAfterMs }
}

test('advice is held against the time in which the jobs that were queued then ended', () => {
  // Ten jobs sent at once, one done every 100 ms; a refusal at 450 ms finds six of them.
  const jobs = Array.from({ length: 10 }, (_, index) => job(0, 100 * (index + 1)))
  const later = [job(500, 1100), job(600, 1200)]

  expect(checkDrains([...jobs, ...later, refusal(450, 600)])).toEqual([{ advisedMs: 600, actualMs: 550 }])
})

test('jobs that end out of turn count as any others', () => {
  expect(checkDrains([job(0, 300), job(10, 200), refusal(100, 100)])).toEqual([{ advisedMs: 100, actualMs: 200 }])
})

test('a refusal without advice, or without a queue, is no case', () => {
  expect(checkDrains([job(0, 300), refusal(100, null)])).toEqual([])
  expect(checkDrains([job(0, 50), refusal(100, 1000)])).toEqual([])
})
