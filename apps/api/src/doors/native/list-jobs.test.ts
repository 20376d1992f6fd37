import { jobResponseSchema } from '@vision-queue/protocol'
import { expect, test } from 'vitest'

import { png } from '../../test-support/images.ts'
import { postJson, problemOf, startApi, type TestApi } from '../../test-support/start-api.ts'
import { jobListSchema } from './list-jobs.ts'

async function submit(api: TestApi): Promise<string> {
  const response = await postJson(api, { input: { image: png.toString('base64'), question: '?' } })
  return jobResponseSchema.parse(await response.json()).id
}

async function list(api: TestApi, query = ''): Promise<{ ids: string[]; next: string | null }> {
  const { jobs, next_cursor: next } = jobListSchema.parse(await (await fetch(`${api.url}/jobs${query}`)).json())
  return { ids: jobs.map(({ id }) => id), next }
}

test('jobs are listed newest first, in parts, by state', async () => {
  const api = await startApi()
  const [a, b, c] = [await submit(api), await submit(api), await submit(api)]
  api.jobs.finish(a, 'failed')
  expect(await list(api)).toEqual({ ids: [c, b, a], next: null })
  const first = await list(api, '?limit=2')
  expect(first.ids).toEqual([c, b])
  expect(await list(api, `?limit=2&cursor=${first.next}`)).toEqual({ ids: [a], next: null })
  expect((await list(api, '?status=failed&model=shapes-vqa')).ids).toEqual([a])
  expect((await list(api, '?model=other')).ids).toEqual([])
})

test.each(['limit=0', 'limit=1.5', 'limit=x', 'status=done', 'cursor=7', 'cursor=7-job_short', 'staus=failed'])(
  '?%s is 400 and names the field',
  async (query) => {
    const api = await startApi()
    const problem = await problemOf(await fetch(`${api.url}/jobs?${query}`))
    expect(problem).toMatchObject({ status: 400, code: 'invalid_request', errors: [{ field: query.split('=')[0] }] })
  },
)

test.each(['owner=me&utm_source=mail&_=1', 'limit=101', 'limit=99999999999', 'status=&model=&cursor=&limit='])(
  '?%s lists them all: unknown names are passed over, empty ones not sent, and more than there may be is the most',
  async (query) => {
    const api = await startApi()
    const id = await submit(api)
    expect((await list(api, `?${query}`)).ids).toEqual([id])
  },
)

test('an administrator purges what waits for a model; nobody else does', async () => {
  const api = await startApi({ ADMIN_KEY: 'sesame-open' })
  const [running, waiting] = [await submit(api), await submit(api)]
  api.jobs.run(running)
  const purge = async (name: string, authorization = 'Bearer sesame-open'): Promise<Response> =>
    fetch(`${api.url}/models/${name}/purge`, { method: 'POST', headers: { authorization } })
  expect((await problemOf(await purge('shapes-vqa', 'Bearer guess'))).code).toBe('unauthorized')
  expect((await problemOf(await purge('cats'))).code).toBe('model_not_found')
  const response = await purge('shapes-vqa')
  expect([response.status, await response.json()]).toEqual([200, { model: 'shapes-vqa', canceled: 1 }])
  expect((await list(api, '?status=canceled')).ids).toEqual([waiting])
})
