import { type JobResponse, jobResponseSchema, VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import { png } from '../test-support/images.ts'
import { postJson, problemOf, startApi, type TestApi } from '../test-support/start-api.ts'

const body = { model: 'shapes-vqa', input: { image: png.toString('base64'), question: '?' } }
const withKey = (key: string): Record<string, string> => ({ 'Idempotency-Key': key })

async function jobOf(response: Response): Promise<JobResponse> {
  return jobResponseSchema.parse(await response.json())
}

/** As FormData does, with a boundary of its own each time. */
async function postForm(api: TestApi, question: string, headers: Record<string, string>): Promise<Response> {
  const form = new FormData()
  form.append('question', question)
  form.append('image', new Blob([png]), 'a.png')
  return fetch(`${api.url}/jobs`, { method: 'POST', body: form, headers })
}

const postRaw = async (api: TestApi, query: string, headers: Record<string, string>): Promise<Response> =>
  fetch(`${api.url}/jobs?${query}`, {
    method: 'POST',
    headers: { 'Content-Type': 'image/png', ...headers },
    body: Uint8Array.from(png),
  })

describe('the same key with the same submission is the same job', () => {
  test.each([
    ['JSON', async (api: TestApi) => postJson(api, body, withKey('a'))],
    ['a form', async (api: TestApi) => postForm(api, '?', withKey('a'))],
    ['the bytes of an image', async (api: TestApi) => postRaw(api, 'question=why', withKey('a'))],
  ])('as %s, and says so', async (_, post) => {
    const api = await startApi()
    const [first, second] = [await post(api), await post(api)]
    expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([202, null])
    expect([second.status, second.headers.get('idempotent-replayed')]).toEqual([202, 'true'])
    const [one, other] = [await jobOf(first), await jobOf(second)]
    expect([other.id, second.headers.get('location')]).toEqual([one.id, one.urls.self])
    expect(api.jobs.submitted).toHaveLength(1)
  })

  test('whatever the order of its fields; one that has ended is answered as it ended', async () => {
    const api = await startApi()
    const { id } = await jobOf(await postJson(api, { ...body, metadata: { a: '1', b: '2' } }, withKey('a')))
    api.jobs.finish(id)
    const again = {
      metadata: { b: '2', a: '1' },
      input: { question: '?', image: body.input.image },
      model: 'shapes-vqa',
    }
    expect(await jobOf(await postJson(api, again, withKey('a')))).toMatchObject({ id, status: 'succeeded' })
  })

  test('with Prefer: wait, too', async () => {
    const api = await startApi()
    const { id } = await jobOf(await postJson(api, body, withKey('a')))
    const waiting = postJson(api, body, { ...withKey('a'), Prefer: 'wait=30' })
    await expect.poll(() => api.jobs.openWatches()).toBe(1)
    api.jobs.finish(id)
    const waited = await waiting
    expect([waited.status, waited.headers.get('idempotent-replayed')]).toEqual([200, 'true'])
    expect(await jobOf(waited)).toMatchObject({ id, status: 'succeeded' })
  })

  test('though its model, its image or the room for it is gone since', async () => {
    const api = await startApi()
    const uploaded: unknown = await (
      await fetch(`${api.url}/images`, {
        method: 'POST',
        headers: { 'Content-Type': 'image/png' },
        body: Uint8Array.from(png),
      })
    ).json()
    const image: unknown = Reflect.get(Object(uploaded), 'id')
    const asked = { ...body, input: { image, question: '?' } }
    const { id } = await jobOf(await postJson(api, asked, withKey('a')))
    api.uploads.forget()
    api.models.models = []
    api.jobs.refusal = new VisionQueueError('queue_full', 'No room.')
    expect(await jobOf(await postJson(api, asked, withKey('a')))).toMatchObject({ id })
  })

  test('counts as one submission', async () => {
    const api = await startApi()
    for (let time = 0; time < 3; time += 1) await postJson(api, body, withKey('a'))
    const metrics = await (await fetch(`${api.url}/metrics`)).text()
    expect(metrics).toMatch(/^vision_queue_jobs_submitted_total\{model="shapes-vqa"\} 1$/m)
  })
})

describe('the same key with something else is a conflict', () => {
  test.each([
    ['another question', { ...body, input: { ...body.input, question: '!' } }],
    ['another image', { ...body, input: { ...body.input, image: Buffer.concat([png, png]).toString('base64') } }],
    ['another model', { ...body, model: 'shapes-vqa@1' }],
    ['parameters', { ...body, parameters: { top_k: 2 } }],
    ['metadata', { ...body, metadata: { a: '1' } }],
    ['a priority', { ...body, priority: 'low' }],
    ['a deadline', { ...body, deadline_ms: 5000 }],
    ['no cache', { ...body, cache: false }],
  ])('%s', async (_, other) => {
    const api = await startApi()
    await postJson(api, body, withKey('a'))
    expect(await problemOf(await postJson(api, other, withKey('a')))).toMatchObject({
      status: 422,
      code: 'idempotency_conflict',
    })
    expect((await postJson(api, other, withKey('b'))).status).toBe(202)
  })
})

test('a key belongs to the API key that sent it', async () => {
  const api = await startApi()
  const [mine, other] = [api.keys.add(['submit']), api.keys.add(['submit'])]
  const ids = new Set<string>()
  for (const key of [mine, mine, other, null]) {
    const authorization: Record<string, string> = key === null ? {} : { Authorization: `Bearer ${key}` }
    ids.add((await jobOf(await postJson(api, body, { ...withKey('a'), ...authorization }))).id)
  }
  expect(ids.size).toBe(3)
})

test('a submission that was refused may be sent again with its key, as it is or put right', async () => {
  const api = await startApi()
  api.jobs.refusal = new VisionQueueError('queue_full', 'No room.', { retryAfterMs: 1000 })
  expect((await postJson(api, body, withKey('a'))).status).toBe(429)
  api.jobs.refusal = null
  expect((await postJson(api, body, withKey('a'))).status).toBe(202)
  for (const wrong of [
    { ...body, model: 'nope' },
    { ...body, input: { image: body.input.image } },
    { ...body, input: { ...body.input, image: Buffer.from('none').toString('base64') } },
  ]) {
    expect((await postJson(api, wrong, withKey('b'))).status).toBeGreaterThanOrEqual(400)
  }
  expect((await postJson(api, body, withKey('b'))).status).toBe(202)
})

test.each(['', 'a b', 'ü', 'a'.repeat(256)])('%j is no key: 400', async (key) => {
  const api = await startApi()
  const response = await postJson(api, body, { 'Idempotency-Key': key })
  expect(await problemOf(response)).toMatchObject({ status: 400, code: 'invalid_request' })
  expect(api.jobs.submitted).toEqual([])
})

test.each(['a', '"8e03978e-40d5-43dd-bc93-6894a57f9324"', '~!@#$%^&*()', 'a'.repeat(255)])('%s is one', async (key) => {
  const api = await startApi()
  expect((await postJson(api, body, withKey(key))).status).toBe(202)
})

test('a retry with a key makes one new job, and the key of a submission is none for a retry', async () => {
  const api = await startApi()
  const { id } = await jobOf(await postJson(api, body, withKey('a')))
  api.jobs.finish(id, 'failed')
  const retry = async (headers: Record<string, string>): Promise<Response> =>
    fetch(`${api.url}/jobs/${id}/retry`, { method: 'POST', headers })
  const [first, second] = [await retry(withKey('b')), await retry(withKey('b'))]
  expect([first.headers.get('idempotent-replayed'), second.headers.get('idempotent-replayed')]).toEqual([null, 'true'])
  const again = await jobOf(first)
  expect(again.retry_of).toBe(id)
  expect((await jobOf(second)).id).toBe(again.id)
  expect(await problemOf(await retry(withKey('a')))).toMatchObject({ code: 'idempotency_conflict' })
  expect((await jobOf(await retry({}))).id).not.toBe(again.id)
})

test('every other route that changes something refuses a key instead of passing it over', async () => {
  const api = await startApi({ ADMIN_KEY: 'sesame' })
  const routes = new Set(
    api.app.routes.flatMap(({ method, path }) => (['POST', 'DELETE'].includes(method) ? [`${method} ${path}`] : [])),
  )
  const takesKeys = ['POST /jobs', 'POST /jobs/:id/retry', 'POST /v1/chat/completions']
  expect([...routes]).toEqual(expect.arrayContaining(takesKeys))
  for (const route of routes) {
    const [method = '', path = ''] = route.split(' ')
    if (takesKeys.includes(route)) continue
    const response = await fetch(api.url + path.replaceAll(/:\w+/g, 'x'), {
      method,
      headers: { ...withKey('a'), Authorization: 'Bearer sesame' },
    })
    const { status, detail } = await problemOf(response)
    expect([route, status]).toEqual([route, 400])
    expect(detail).toContain('Idempotency-Key is for POST /jobs, POST /jobs/{id}/retry and POST /v1/chat/completions.')
  }
})
