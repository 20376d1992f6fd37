import { expect, test } from 'vitest'

import { openEvents, submitJob } from '../test-support/open-events.ts'
import { problemOf, startApi } from '../test-support/start-api.ts'

test('a snapshot, then each change, then the end', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  const stream = await openEvents(api, id)
  expect(stream.response.headers.get('content-type')).toBe('text/event-stream')
  await expect.poll(stream.events).toEqual(['1 queued'])
  api.jobs.run(id)
  await expect.poll(stream.events).toEqual(['1 queued', '2 running'])
  api.jobs.finish(id)
  await stream.ended
  expect(stream.events()).toEqual(['1 queued', '2 running', '3 succeeded'])
  expect(stream.text()).toMatch(/^retry: \d+\n\n/)
  expect(api.jobs.openWatches()).toBe(0)
})

test('an event holds the job as GET answers it', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  api.jobs.finish(id)
  const stream = await openEvents(api, id)
  await stream.ended
  const job: unknown = await (await fetch(`${api.url}/jobs/${id}`)).json()
  expect(stream.text()).toContain(`data: ${JSON.stringify(job)}\n`)
})

test('a final job is one event and the end', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  api.jobs.finish(id, 'expired')
  const stream = await openEvents(api, id)
  await stream.ended
  expect(stream.events()).toEqual(['3 expired'])
  expect(api.jobs.openWatches()).toBe(0)
})

test('a quiet stream is kept alive by comments', async () => {
  const api = await startApi({ SSE_HEARTBEAT_MS: '100' })
  const stream = await openEvents(api, await submitJob(api))
  await expect.poll(stream.text).toMatch(/(: heartbeat\n\n){2}/)
})

test('with Last-Event-ID what was seen is not repeated', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  api.jobs.run(id)
  const seen = await openEvents(api, id, { 'Last-Event-ID': '2' })
  const behind = await openEvents(api, id, { 'Last-Event-ID': '1' })
  await expect.poll(behind.events).toEqual(['2 running'])
  api.jobs.finish(id)
  await Promise.all([seen.ended, behind.ended])
  expect(seen.events()).toEqual(['3 succeeded'])
  expect(behind.events()).toEqual(['2 running', '3 succeeded'])
})

test('who has seen the final event is answered 204, so that an EventSource stops', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  api.jobs.finish(id)
  const stream = await openEvents(api, id, { 'Last-Event-ID': '3' })
  expect([stream.response.status, stream.response.body]).toEqual([204, null])
})

test('a client that goes away ends the watch', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  const stream = await openEvents(api, id)
  await expect.poll(stream.events).toHaveLength(1)
  expect(api.jobs.openWatches()).toBe(1)
  stream.hangUp()
  await expect.poll(() => api.jobs.openWatches()).toBe(0)
})

test('a closing server ends the stream', async () => {
  const api = await startApi()
  const stream = await openEvents(api, await submitJob(api))
  await expect.poll(stream.events).toHaveLength(1)
  await api.stop()
  await stream.ended
  expect(api.jobs.openWatches()).toBe(0)
})

test('HEAD has the headers and leaves no watch behind', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  const response = await fetch(`${api.url}/jobs/${id}/events`, { method: 'HEAD' })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  expect(api.jobs.openWatches()).toBe(0)
})

test('an unknown job is a problem, not a stream', async () => {
  const api = await startApi()
  for (const id of ['job_aaaaaaaaaaaaaaaaaaaaa', 'nonsense']) {
    for (const headers of [{}, { 'Last-Event-ID': '3' }]) {
      const { response } = await openEvents(api, id, headers)
      expect([response.status, response.headers.get('content-type')]).toEqual([404, 'application/problem+json'])
    }
  }
})

test('Redis away is 503', async () => {
  const api = await startApi()
  const id = await submitJob(api)
  api.jobs.down = true
  expect((await problemOf(await fetch(`${api.url}/jobs/${id}/events`))).code).toBe('queue_unavailable')
})
