import type { FinalJob } from '@vision-queue/protocol'
import { durationBounds } from '@vision-queue/queue'
import { expect, test } from 'vitest'

import { createJobWork } from './job-work.ts'

const createdAt = Date.parse('2026-01-01T00:00:00.000Z')
const described = {
  models: [
    {
      name: 'm',
      version: '1',
      status: 'ready' as const,
      serving: true,
      error: null,
      manifest: null,
      engines: 1,
      stats: {
        batches: {},
        jobs: {},
        inferenceMs: 0,
        preprocessMs: 0,
        engineRestarts: 0,
        launches: { reasons: {}, predicted: 0, predictedMs: 0, actualMs: 0 },
        cost: null,
        capacity: null,
      },
    },
  ],
}

const final: FinalJob = {
  id: 'job_000000000000000000001',
  status: 'succeeded',
  model: 'm',
  version: '1',
  variant: 'fp32',
  output: { text: 'red', tokens: 3, usage: { prompt_tokens: 7 } },
  error: null,
  attempts: 1,
  cached: false,
  metrics: null,
  metadata: null,
  priority: 'normal',
  retry_of: null,
  owner: null,
  created_at: new Date(createdAt).toISOString(),
  started_at: new Date(createdAt + 20).toISOString(),
  completed_at: new Date(createdAt + 90).toISOString(),
  expires_at: null,
}
const run = {
  output: {},
  variant: 'fp32',
  batchSize: 1,
  fetchMs: 1,
  preprocessMs: 5,
  batchWaitMs: 10,
  inferenceMs: 50,
  deliveryMs: 2,
}

/** In the bucket of which bound there is one, and the sum. */
function bucketOf(durations: { counts: number[]; sum: number } | undefined): [number | undefined, number] {
  return [durationBounds[durations?.counts.indexOf(1) ?? -1], Math.round((durations?.sum ?? 0) * 1000)]
}

test('each stage of a job is counted in its bucket, with its tokens', () => {
  const work = createJobWork()
  work.ended({ model: 'm', createdAt }, final, run)
  const told = work.announced(described).models[0]?.work
  const stages = Object.entries(told?.durations ?? {}).map(([stage, durations]) => [stage, bucketOf(durations)])
  expect(stages).toEqual([
    ['queue', [0.025, 20]],
    ['fetch', [0.001, 1]],
    ['preprocess', [0.005, 5]],
    ['batch_wait', [0.01, 10]],
    ['inference', [0.05, 50]],
    ['delivery', [0.0025, 2]],
    ['total', [0.1, 90]],
  ])
  expect(told?.tokens).toEqual({ prompt: 7, completion: 3 })
})

test('the times of tokens are counted of answers that were generated, and of no others', () => {
  const work = createJobWork()
  work.ended({ model: 'm', createdAt }, final, { ...run, times: { prefillMs: 9, decodeMs: 40 } })
  work.ended({ model: 'm', createdAt }, final, run)
  const times = work.announced(described).models[0]?.work?.tokenTimes ?? {}
  // Three tokens: two after the first.
  expect(Object.entries(times).map(([time, durations]) => [time, bucketOf(durations)])).toEqual([
    ['first_token', [0.05, 50]],
    ['prefill', [0.01, 9]],
    ['decode', [0.05, 40]],
    ['per_token', [0.025, 20]],
  ])
})

test('a job that took the answer of another has no run, and its tokens count once', () => {
  const work = createJobWork()
  work.ended({ model: 'm', createdAt }, final, null)
  const told = work.announced(described).models[0]?.work
  expect(Object.keys(told?.durations ?? {})).toEqual(['queue', 'total'])
  expect(told?.tokens).toEqual({ prompt: 0, completion: 0 })
})

test('attempts are told apart, and failures by code, whether a version was chosen or not', () => {
  const work = createJobWork()
  work.taken('m', { attempts: 1, stalls: 0 })
  work.taken('m', { attempts: 2, stalls: 0 })
  work.taken('m', { attempts: 2, stalls: 1 })
  const error = { code: 'deadline_exceeded', message: 'late', retryable: true } as const
  work.ended({ model: 'm', createdAt }, { ...final, status: 'expired', version: null, output: null, error }, null)
  expect(work.announced(described)).toMatchObject({
    jobs: { m: { attempts: { first: 1, retry: 1, takeover: 1 }, failures: { deadline_exceeded: 1 } } },
  })
})
