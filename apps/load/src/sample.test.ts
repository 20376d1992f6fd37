import { expect, test } from 'vitest'

import { noAnswer, readAnswer } from './sample.ts'

const times = { queue_ms: 1, preprocess_ms: 2, inference_ms: 3, batch_size: 4, total_ms: 9 }

test('a job that succeeded tells its times, its cache and the server’s time', () => {
  const body = JSON.stringify({ status: 'succeeded', cached: true, metrics: times, error: null })

  expect(readAnswer(200, 'cache;desc=hit, total;dur=1.25', body)).toEqual({
    status: 200,
    outcome: 'succeeded',
    cached: true,
    times,
    retryAfterMs: null,
    serverMs: 1.25,
  })
})

test('what did not succeed is called by its code', () => {
  const failed = JSON.stringify({ status: 'expired', metrics: null, error: { code: 'deadline_exceeded' } })
  expect(readAnswer(200, undefined, failed).outcome).toBe('deadline_exceeded')
  expect(readAnswer(202, undefined, JSON.stringify({ status: 'running', metrics: null })).outcome).toBe('unfinished')
  const full = readAnswer(429, undefined, JSON.stringify({ code: 'queue_full', retry_after_ms: 2600 }))
  expect(full).toMatchObject({ outcome: 'queue_full', retryAfterMs: 2600, serverMs: null })
})

test('an answer that is none of ours counts as its status, and no answer as its error', () => {
  expect(readAnswer(502, undefined, '<html>Bad gateway</html>').outcome).toBe('http_502')
  expect(readAnswer(200, undefined, 'ok').outcome).toBe('http_200')
  expect(noAnswer(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))).toMatchObject({
    status: 0,
    outcome: 'ECONNREFUSED',
  })
})
