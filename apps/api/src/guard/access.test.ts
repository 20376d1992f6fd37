import { blobsOf } from '@vision-queue/queue'
import { jobResponseSchema } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import { openAiErrorSchema } from '../doors/openai/error-response.ts'
import { png } from '../test-support/images.ts'
import { postJson, problemOf, startApi, type TestApi } from '../test-support/start-api.ts'

const body = { input: { image: png.toString('base64'), question: '?' } }
const closed = { ALLOW_ANONYMOUS: 'false' }
const bearer = (key: string): Record<string, string> => ({ Authorization: `Bearer ${key}` })

async function get(api: TestApi, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(api.url + path, { headers })
}

/** Submits with the key and resolves to the job's id. */
async function submit(api: TestApi, headers: Record<string, string> = {}): Promise<string> {
  return jobResponseSchema.parse(await (await postJson(api, body, headers)).json()).id
}

describe('where keys are needed', () => {
  /** All that is open to everybody. Whoever adds a route finds it here or behind a scope. */
  const open = ['/health', '/health/live', '/health/ready', '/openapi.json', '/docs', '/docs/:file', '/']

  test('every route but these answers 401 without one, and says how to send it', async () => {
    const api = await startApi(closed)
    const routes = api.app.routes.filter(({ method, path }) => method !== 'ALL' && !open.includes(path))
    expect(new Set(routes.map(({ path }) => path)).size).toBeGreaterThan(8)
    for (const { method, path } of routes) {
      const response = await fetch(api.url + path.replace(':id', 'x').replace(':name', 'shapes-vqa'), { method })
      expect([path, response.status]).toEqual([path, 401])
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="vision-queue"')
      const code = path.startsWith('/v1/')
        ? openAiErrorSchema.parse(await response.json()).error.code
        : (await problemOf(response)).code
      expect(code).toBe('unauthorized')
    }
    for (const path of open) expect((await get(api, path.replace(':file', 'start.js'))).status).toBe(200)
  })

  test('the open description names no models', async () => {
    const [shut, free] = [await startApi(closed), await startApi()]
    expect(await (await get(shut, '/openapi.json')).text()).not.toContain('shapes-vqa')
    expect(await (await get(free, '/openapi.json')).text()).toContain('shapes-vqa')
  })

  test.each([
    ['another one', 'Bearer vq_key000000000_wrong'],
    ['another scheme', 'Basic dXNlcjpwYXNz'],
    ['no scheme', 'vq_key000000000_'],
    ['nothing after the scheme', 'Bearer '],
  ])('%s is 401, and the body that comes with it is not waited for', async (_, authorization) => {
    const api = await startApi(closed)
    api.keys.add(['submit'])
    const big = { input: { image: Buffer.alloc(2_000_000).toString('base64') } }
    expect((await problemOf(await postJson(api, big, { Authorization: authorization }))).code).toBe('unauthorized')
    expect(api.jobs.submitted).toEqual([])
  })

  test('a key opens what its scopes say; the rest is 403, naming the scope', async () => {
    const api = await startApi(closed)
    const submitter = bearer(api.keys.add(['submit']))
    expect((await postJson(api, body, submitter)).status).toBe(202)
    const refused = await problemOf(await get(api, '/models', submitter))
    expect(refused).toMatchObject({ status: 403, code: 'forbidden', detail: expect.stringContaining('scope read') })
    expect((await get(api, '/metrics', submitter)).status).toBe(403)
    const reader = bearer(api.keys.add(['read']))
    expect((await problemOf(await postJson(api, body, reader))).detail).toContain('scope submit')
    expect((await get(api, '/models', reader)).status).toBe(200)
    const order = await fetch(`${api.url}/models/shapes-vqa/reload`, { method: 'POST', headers: reader })
    expect((await problemOf(order)).detail).toContain('scope admin')
    const admin = bearer(api.keys.add(['admin']))
    expect((await get(api, '/metrics', admin)).status).toBe(200)
    expect((await problemOf(await postJson(api, body, admin))).code).toBe('forbidden')
  })

  test('an expired and a revoked key are 401', async () => {
    const api = await startApi(closed)
    const expired = bearer(api.keys.add(['read'], { expiresAt: Date.now() - 1 }))
    expect((await get(api, '/models', expired)).status).toBe(401)
    const headers = bearer(api.keys.add(['read']))
    expect((await get(api, '/models', headers)).status).toBe(200)
    for (const { id } of await api.keys.list()) await api.keys.revoke(id)
    expect((await get(api, '/models', headers)).status).toBe(401)
  })

  test('while keys can not be looked up nobody gets in: 503', async () => {
    const api = await startApi(closed)
    const headers = bearer(api.keys.add(['submit', 'read']))
    api.keys.down = true
    expect((await problemOf(await get(api, '/models', headers))).code).toBe('queue_unavailable')
    expect((await get(api, '/health')).status).toBe(200)
  })

  test('ADMIN_KEY administers and no more', async () => {
    const api = await startApi({ ...closed, ADMIN_KEY: 'sesame' })
    expect((await get(api, '/metrics', bearer('sesame'))).status).toBe(200)
    expect((await problemOf(await postJson(api, body, bearer('sesame')))).code).toBe('forbidden')
  })

  test('METRICS_TOKEN opens the metrics and no more', async () => {
    const api = await startApi({ METRICS_TOKEN: 'scrape-me' })
    expect((await get(api, '/metrics')).status).toBe(403)
    expect((await get(api, '/metrics', bearer('scrape-me'))).status).toBe(200)
    const shut = await startApi({ ...closed, METRICS_TOKEN: 'scrape-me' })
    expect((await get(shut, '/models', bearer('scrape-me'))).status).toBe(401)
    expect((await get(shut, '/metrics', bearer('scrape-you'))).status).toBe(401)
  })
})

describe('where none is needed', () => {
  test("a proxy's own credentials are no key; a bad key is 401 all the same", async () => {
    const api = await startApi()
    expect((await postJson(api, body, { Authorization: 'Basic dXNlcjpwYXNz' })).status).toBe(202)
    expect((await postJson(api, body, bearer('vq_key000000009_wrong'))).status).toBe(401)
  })

  test('whoever has ADMIN_KEY may submit as well', async () => {
    const api = await startApi({ ADMIN_KEY: 'sesame' })
    expect((await postJson(api, body, bearer('sesame'))).status).toBe(202)
  })
})

describe('a job', () => {
  test('is known to the key that handed it in and to no other, on every route', async () => {
    const api = await startApi()
    const [mine, other] = [bearer(api.keys.add(['submit', 'read'])), bearer(api.keys.add(['submit', 'read', 'admin']))]
    const id = await submit(api, mine)
    for (const strangers of [other, {}]) {
      for (const path of [`/jobs/${id}`, `/jobs/${id}?wait=30`, `/jobs/${id}/events`]) {
        expect(await problemOf(await get(api, path, strangers))).toMatchObject({ status: 404, code: 'job_not_found' })
      }
      const head = await fetch(`${api.url}/jobs/${id}/events`, { method: 'HEAD', headers: { ...strangers } })
      expect(head.status).toBe(404)
      for (const status of ['queued', 'succeeded', 'failed'] as const) {
        const jobId = await submit(api, mine)
        if (status !== 'queued') api.jobs.finish(jobId, status)
        for (const action of ['retry', 'cancel']) {
          const [foreign, unknown] = await Promise.all(
            [jobId, 'job_aaaaaaaaaaaaaaaaaaaaa'].map(async (asked) =>
              problemOf(
                await fetch(`${api.url}/jobs/${asked}/${action}`, { method: 'POST', headers: { ...strangers } }),
              ),
            ),
          )
          expect(foreign).toMatchObject({ status: 404, code: 'job_not_found' })
          expect({ ...foreign, request_id: '' }).toEqual({ ...unknown, request_id: '' })
        }
      }
    }
    const unknown = await problemOf(await get(api, '/jobs/job_aaaaaaaaaaaaaaaaaaaaa', other))
    const foreign = await problemOf(await get(api, `/jobs/${id}`, other))
    expect({ ...foreign, request_id: '' }).toEqual({ ...unknown, request_id: '' })
    expect(api.jobs.openWatches()).toBe(0)

    api.jobs.finish(id)
    for (const path of [`/jobs/${id}`, `/jobs/${id}?wait=30`]) {
      const seen = await get(api, path, mine)
      expect([seen.status, Object.keys(jobResponseSchema.loose().parse(await seen.json()))]).toEqual([
        200,
        expect.not.arrayContaining(['owner']),
      ])
    }
    const resumed = await fetch(`${api.url}/jobs/${id}/events`, { headers: { ...other, 'Last-Event-ID': '3' } })
    expect(resumed.status).toBe(404)
    expect(await (await get(api, `/jobs/${id}/events`, mine)).text()).not.toContain('owner')
  })

  test('that was handed in without a key is not that of any key', async () => {
    const api = await startApi()
    const id = await submit(api)
    expect((await get(api, `/jobs/${id}`)).status).toBe(200)
    expect((await get(api, `/jobs/${id}`, bearer(api.keys.add(['read'])))).status).toBe(404)
  })

  test("takes answers of its key's alone, unless they are shared", async () => {
    for (const [env, whose] of [
      [{}, 'key000000000'],
      [{ SHARE_ANSWERS: 'true' }, null],
    ] as const) {
      const api = await startApi(env)
      await submit(api, bearer(api.keys.add(['submit'])))
      await submit(api)
      expect(api.jobs.submitted.map(({ job }) => [job.owner, job.answersOf])).toEqual([
        ['key000000000', whose],
        [null, null],
      ])
    }
  })
})

test('an image is stored apart for each key, so that nobody tells from the time what another one sent', async () => {
  for (const [env, names] of [
    [{}, 3],
    [{ SHARE_ANSWERS: 'true' }, 1],
  ] as const) {
    const api = await startApi(env)
    const [one, other] = [bearer(api.keys.add(['submit'])), bearer(api.keys.add(['submit']))]
    for (const headers of [one, one, other, {}]) await submit(api, headers)
    const images = api.jobs.submitted.flatMap(({ job }) => blobsOf(job))
    expect(new Set(images.map(({ hash }) => hash)).size).toBe(1)
    // What decides whose blobs may serve it.
    const spaces = api.jobs.submitted.map(({ job }) => job.answersOf)
    expect(new Set(spaces).size).toBe(names)
    expect(spaces[0]).toBe(spaces[1])
  }
})

test('an uploaded image is used, seen and removed by the key that uploaded it alone', async () => {
  const api = await startApi()
  const [mine, other] = [bearer(api.keys.add(['submit'])), bearer(api.keys.add(['submit']))]
  const upload = { method: 'POST', body: png, headers: { ...mine, 'Content-Type': 'image/png' } }
  const uploaded = await fetch(`${api.url}/images`, upload)
  const path = uploaded.headers.get('location') ?? ''
  const ask = { input: { image: path.replace('/images/', ''), question: '?' } }
  for (const strangers of [other, {}]) {
    expect((await get(api, path, strangers)).status).toBe(404)
    expect((await postJson(api, ask, strangers)).status).toBe(404)
    expect((await fetch(api.url + path, { method: 'DELETE', headers: { ...strangers } })).status).toBe(404)
  }
  expect(await (await get(api, path, mine)).json()).toMatchObject({ id: ask.input.image })
  expect((await postJson(api, ask, mine)).status).toBe(202)
  const [submitted] = api.jobs.submitted
  const [blob] = blobsOf(submitted?.job ?? { parts: [] })
  const address = { space: submitted?.job.owner ?? null, hash: blob?.hash ?? '' }
  expect(await api.uploads.blobs.find(address, submitted?.job.id ?? '')).not.toBeNull()
  // What the image is, is the same for all: an answer or a crash is told by it, however the image came.
  expect(`img_${blob?.hash}`).toBe(ask.input.image)
  expect((await fetch(api.url + path, { method: 'DELETE', headers: mine })).status).toBe(204)
})

describe('a rate', () => {
  test('is told with every answer, and what is over it is 429 with the time until there is more', async () => {
    const api = await startApi(closed)
    const headers = bearer(api.keys.add(['read'], { requestsPerMinute: 3 }))
    const first = await get(api, '/models', headers)
    expect(first.headers.get('ratelimit')).toBe('"minute";r=2;t=30')
    expect(first.headers.get('ratelimit-policy')).toBe('"minute";q=3;w=60')
    expect((await get(api, '/jobs/job_aaaaaaaaaaaaaaaaaaaaa', headers)).headers.get('ratelimit')).toContain('r=1')
    await get(api, '/models', headers)
    const refused = await get(api, '/models', headers)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '30'])
    expect(refused.headers.get('ratelimit')).toBe('"minute";r=0;t=30')
    expect(await problemOf(refused)).toMatchObject({ code: 'rate_limited', retry_after_ms: 30_000 })
  })

  test('counts what lacks a scope, too, and a key without one is not counted', async () => {
    const api = await startApi(closed)
    const headers = bearer(api.keys.add(['submit'], { requestsPerMinute: 1 }))
    expect((await get(api, '/models', headers)).status).toBe(403)
    expect((await get(api, '/models', headers)).status).toBe(429)
    const unlimited = await get(api, '/models', bearer(api.keys.add(['read'])))
    expect([unlimited.status, unlimited.headers.get('ratelimit')]).toEqual([200, null])
  })
})
