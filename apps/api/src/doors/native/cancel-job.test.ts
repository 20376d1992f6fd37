import { jobResponseSchema } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import { png } from '../../test-support/images.ts'
import { postJson, problemOf, startApi, type TestApi } from '../../test-support/start-api.ts'

async function submit(api: TestApi): Promise<{ id: string; cancel: string }> {
  const response = await postJson(api, { input: { image: png.toString('base64'), question: '?' } })
  const { id, urls } = jobResponseSchema.parse(await response.json())
  return { id, cancel: api.url + urls.cancel }
}

test('a job is canceled at the address that it came with; again, it is the same', async () => {
  const api = await startApi()
  const { id, cancel } = await submit(api)
  const response = await fetch(cancel, { method: 'POST' })
  expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
  const canceled = jobResponseSchema.parse(await response.json())
  expect(canceled).toMatchObject({ id, status: 'canceled' })
  expect(await (await fetch(cancel, { method: 'POST' })).json()).toEqual(canceled)
})

test('a job that is final is answered as it is', async () => {
  const api = await startApi()
  const { id, cancel } = await submit(api)
  api.jobs.finish(id)
  const response = await fetch(cancel, { method: 'POST' })
  expect([response.status, await response.json()]).toMatchObject([200, { status: 'succeeded' }])
})

test.each(['job_aaaaaaaaaaaaaaaaaaaaa', 'nonsense'])('job %s is 404', async (id) => {
  const api = await startApi()
  const response = await fetch(`${api.url}/jobs/${id}/cancel`, { method: 'POST' })
  expect(await problemOf(response)).toMatchObject({ status: 404, code: 'job_not_found' })
})

test('Redis away is 503', async () => {
  const api = await startApi()
  const { cancel } = await submit(api)
  api.jobs.down = true
  expect(await problemOf(await fetch(cancel, { method: 'POST' }))).toMatchObject({ code: 'queue_unavailable' })
})
