import { jobResponseSchema } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import { png } from '../test-support/images.ts'
import { postJson, problemOf, startApi, type TestApi } from '../test-support/start-api.ts'

async function submit(api: TestApi): Promise<string> {
  const response = await postJson(api, { input: { image: png.toString('base64'), question: '?' } })
  return jobResponseSchema.parse(await response.json()).id
}

test('a job is answered as it is, with its addresses', async () => {
  const api = await startApi()
  const id = await submit(api)
  api.jobs.run(id)
  const response = await fetch(`${api.url}/jobs/${id}`)
  expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
  expect(jobResponseSchema.parse(await response.json())).toMatchObject({ id, status: 'running', attempts: 1 })
})

test('?wait answers as soon as the job is final', async () => {
  const api = await startApi()
  const id = await submit(api)
  const answering = fetch(`${api.url}/jobs/${id}?wait=60`)
  await expect.poll(() => api.jobs.openWatches()).toBe(1)
  api.jobs.finish(id, 'failed')
  expect(await (await answering).json()).toMatchObject({ id, status: 'failed' })
})

test('?wait answers with the job as it is when the time is over, or when the server closes', async () => {
  const api = await startApi()
  const id = await submit(api)
  expect(await (await fetch(`${api.url}/jobs/${id}?wait=1`)).json()).toMatchObject({ status: 'queued' })
  const answering = fetch(`${api.url}/jobs/${id}?wait=60`)
  await expect.poll(() => api.jobs.openWatches()).toBe(1)
  await Promise.all([api.stop(), expect(answering.then((response) => response.status)).resolves.toBe(200)])
})

test('?wait ends with a client that goes away', async () => {
  const api = await startApi()
  const id = await submit(api)
  const client = new AbortController()
  const answering = fetch(`${api.url}/jobs/${id}?wait=60`, { signal: client.signal })
  await expect.poll(() => api.jobs.openWatches()).toBe(1)
  client.abort()
  await expect(answering).rejects.toThrow('aborted')
  await expect.poll(() => api.jobs.openWatches()).toBe(0)
})

test.each(['wait=-1', 'wait=soon', 'wait=30s', 'wait=1;5', 'wiat=5', 'Wait=5'])(
  '?%s is 400 and names the field',
  async (query) => {
    const api = await startApi()
    const id = await submit(api)
    const problem = await problemOf(await fetch(`${api.url}/jobs/${id}?${query}`))
    expect(problem).toMatchObject({ status: 400, code: 'invalid_request', errors: [{ field: query.split('=')[0] }] })
  },
)

test.each(['job_aaaaaaaaaaaaaaaaaaaaa', 'job_short', 'nonsense', '%00', '%zz'])('job %s is 404', async (id) => {
  const api = await startApi()
  expect(await problemOf(await fetch(`${api.url}/jobs/${id}`))).toMatchObject({ status: 404, code: 'job_not_found' })
  expect(await problemOf(await fetch(`${api.url}/jobs/${id}?wait=5`))).toMatchObject({ code: 'job_not_found' })
})

test('Redis away is 503 with Retry-After', async () => {
  const api = await startApi()
  const id = await submit(api)
  api.jobs.down = true
  for (const query of ['', '?wait=5']) {
    const response = await fetch(`${api.url}/jobs/${id}${query}`)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
  }
})

test.each([
  ['wait=90', 60_000],
  ['wait=999999999999', 60_000],
  ['wait=60', 60_000],
  ['wait=true', 60_000],
  ['wait=yes', 60_000],
  ['wait=30.0', 30_000],
  ['wait=1.5', 1500],
  ['wait=%2030%20', 30_000],
  ['utm_source=mail&wait=5&_=1700000000', 5000],
  ['wait=0', null],
  ['wait=false', null],
  ['wait=', null],
  ['wait', null],
  ['utm_source=mail&fbclid=x&_=1700000000&foo=bar&v=2', null],
])('?%s waits %s ms', async (query, ms) => {
  const api = await startApi()
  const id = await submit(api)
  const waited: number[] = []
  const { of } = api.jobs
  api.jobs.of = (owner) => {
    const jobs = of(owner)
    return {
      ...jobs,
      async waitFor(job, timeoutMs) {
        waited.push(timeoutMs)
        return jobs.read(job)
      },
    }
  }
  expect((await fetch(`${api.url}/jobs/${id}?${query}`)).status).toBe(200)
  expect(waited).toEqual(ms === null ? [] : [ms])
})
