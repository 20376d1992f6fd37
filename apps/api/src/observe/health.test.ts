import { expect, test } from 'vitest'

import { VisionQueueError } from '@vision-queue/protocol'
import { png } from '../test-support/images.ts'
import { servedModel } from '../test-support/served-models.ts'
import { postJson, problemOf, startApi } from '../test-support/start-api.ts'

test('a process with Redis and models is live and ready', async () => {
  const api = await startApi()
  for (const path of ['/health', '/health/live']) {
    const response = await fetch(api.url + path)
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }])
  }
  const response = await fetch(`${api.url}/health/ready`)
  expect([response.status, await response.json()]).toEqual([200, { status: 'ready', missing: [] }])
})

test.each<[string, 'jobs' | 'models' | null, string]>([
  ['Redis does not answer', 'jobs', 'redis'],
  ['models can not be read', 'models', 'redis'],
  ['no model was ever announced', null, 'models'],
])('ready is 503 naming what is missing: %s; live stays 200', async (_, down, missing) => {
  const api = await startApi()
  if (down === null) api.models.models = []
  else api[down].down = true
  const response = await fetch(`${api.url}/health/ready`)
  expect([response.status, await response.json()]).toMatchObject([
    503,
    { status: 'not_ready', missing: [missing], detail: expect.any(String) },
  ])
  expect((await fetch(`${api.url}/health`)).status).toBe(200)
  expect((await fetch(`${api.url}/health/live`)).status).toBe(200)
})

test('a Redis that may drop accepted jobs is no reason to be ready', async () => {
  const api = await startApi()
  api.jobs.eviction = 'allkeys-lru'
  const response = await fetch(`${api.url}/health/ready`)
  expect([response.status, await response.json()]).toMatchObject([
    503,
    { status: 'not_ready', missing: ['noeviction'] },
  ])
})

test('models that could only fail are no reason to be ready', async () => {
  const api = await startApi()
  api.models.models = [{ ...servedModel({}, 0), manifest: null, status: 'failed' }]
  expect((await fetch(`${api.url}/health/ready`)).status).toBe(503)
})

test('a Redis that refuses writes is no reason to be ready; the log says what it answers, once, and when it is over', async () => {
  const api = await startApi({ READINESS_MAX_AGE_MS: '0' })
  const answer = 'MISCONF Errors writing to the AOF file: No space left on device at redis.internal:6379'
  api.jobs.refusal = new VisionQueueError('queue_unavailable', 'No.', { cause: new Error(answer) })
  for (let turn = 0; turn < 3; turn += 1) {
    const response = await fetch(`${api.url}/health/ready`)
    expect([response.status, await response.json()]).toEqual([
      503,
      {
        status: 'not_ready',
        missing: ['writes'],
        detail: 'Redis refuses writes, because it can not write to its own disk, which may be full.',
      },
    ])
  }
  api.jobs.refusal = null
  expect((await fetch(`${api.url}/health/ready`)).status).toBe(200)
  const said = api.logged.filter(({ msg }) => msg !== 'Request').map(({ level, redis, msg }) => ({ level, redis, msg }))
  expect(said).toEqual([
    { level: 40, redis: answer, msg: 'The queue takes nothing' },
    { level: 30, msg: 'The queue takes jobs again' },
  ])
})

test('many who ask at once, and soon after, cost Redis one write', async () => {
  const api = await startApi({ READINESS_MAX_AGE_MS: '60000' })
  await Promise.all(Array.from({ length: 20 }, async () => await fetch(`${api.url}/health/ready`)))
  expect((await fetch(`${api.url}/health/ready`)).status).toBe(200)
  expect(api.jobs.probes).toBe(1)
})

test('a submission that Redis refuses is told why, and the log too', async () => {
  const api = await startApi()
  const cause = new Error("OOM command not allowed when used memory > 'maxmemory'.")
  api.jobs.refusal = new VisionQueueError('queue_unavailable', 'Redis is full.', { cause })
  const response = await postJson(api, { input: { image: png.toString('base64'), question: 'x' } })
  expect(await problemOf(response)).toMatchObject({ status: 503, detail: 'Redis is full.' })
  expect(api.logged).toContainEqual(expect.objectContaining({ level: 40, redis: cause.message }))
})

test('a model that lost its engines is named, and the replica stays ready: its jobs are accepted and wait', async () => {
  const api = await startApi()
  const lost = {
    status: 'loading',
    error: 'The engine ended while loading (signal SIGKILL).',
    retryAt: 1_750_000_000_000,
  }
  const starting = servedModel({ name: 'starting' })
  for (const consumer of starting.consumers) consumer.enginesUp = 0
  api.models.models = [
    servedModel({ name: 'fine' }),
    { ...servedModel({ name: 'lost' }, 0), ...lost, status: 'loading' },
    starting,
    servedModel({ name: 'away' }, 0),
    { ...servedModel({ name: 'taken-out' }, 0), status: 'unloaded' },
  ]
  const response = await fetch(`${api.url}/health/ready`)
  expect(response.status).toBe(200)
  expect(await response.json()).toEqual({
    status: 'ready',
    missing: [],
    without_engines: [
      { model: 'lost@1', status: 'loading', error: lost.error, retry_at: '2025-06-15T15:06:40.000Z' },
      { model: 'starting@1', status: 'ready', error: null, retry_at: null },
      { model: 'away@1', status: 'no_consumers', error: null, retry_at: null },
    ],
  })
})
