import { jobResponseSchema } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import { png } from '../../test-support/images.ts'
import { postJson, problemOf, startApi, type TestApi } from '../../test-support/start-api.ts'

async function submit(api: TestApi, more: object = {}): Promise<string> {
  const response = await postJson(api, { input: { image: png.toString('base64'), question: '?' }, ...more })
  return jobResponseSchema.parse(await response.json()).id
}

const retry = async (api: TestApi, id: string): Promise<Response> =>
  fetch(`${api.url}/jobs/${id}/retry`, { method: 'POST' })

test.each(['failed', 'canceled', 'expired'] as const)('a job that %s is asked again under a new id', async (status) => {
  const api = await startApi()
  const id = await submit(api, { deadline_ms: 5000, metadata: { order: '7' }, priority: 'high' })
  api.jobs.finish(id, status)
  const response = await retry(api, id)
  const job = jobResponseSchema.parse(await response.json())
  expect([response.status, response.headers.get('location')]).toEqual([202, job.urls.self])
  expect(job).toMatchObject({ status: 'queued', retry_of: id, metadata: { order: '7' }, priority: 'high' })
  const [old, again] = api.jobs.submitted
  expect(again?.image).toBeNull()
  expect(again?.job).toMatchObject({ parts: old?.job.parts, input: old?.job.input, retryOf: id })
  expect((again?.job.deadlineAt ?? 0) - (again?.job.createdAt ?? 0)).toBe(5000)
})

test('a job that runs or has succeeded is 409', async () => {
  const api = await startApi()
  const id = await submit(api)
  expect(await problemOf(await retry(api, id))).toMatchObject({ status: 409, code: 'job_not_retryable' })
  api.jobs.finish(id)
  expect(await problemOf(await retry(api, id))).toMatchObject({ status: 409, code: 'job_not_retryable' })
})

test('is counted as every submission is, accepted or refused', async () => {
  const api = await startApi()
  const counters = async (): Promise<(string | undefined)[]> => {
    const text = await (await fetch(`${api.url}/metrics`)).text()
    const names = ['jobs_submitted_total{model="shapes-vqa"}', 'jobs_refused_total{code="job_not_retryable"}']
    return names.map(
      (name) =>
        text
          .split('\n')
          .find((line) => line.startsWith(`vision_queue_${name}`))
          ?.split(' ')[1],
    )
  }
  const id = await submit(api)
  expect(await counters()).toEqual(['1', undefined])
  expect((await retry(api, id)).status).toBe(409)
  expect(await counters()).toEqual(['1', '1'])
  api.jobs.finish(id, 'failed')
  expect((await retry(api, id)).status).toBe(202)
  expect(await counters()).toEqual(['2', '1'])
})

test('an unknown job is 404, and Redis away is 503', async () => {
  const api = await startApi()
  expect(await problemOf(await retry(api, 'job_aaaaaaaaaaaaaaaaaaaaa'))).toMatchObject({ code: 'job_not_found' })
  api.jobs.down = true
  expect(await problemOf(await retry(api, 'job_aaaaaaaaaaaaaaaaaaaaa'))).toMatchObject({ code: 'queue_unavailable' })
})
