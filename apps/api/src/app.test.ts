import { jobResponseSchema } from '@vision-queue/protocol'
import { describe, expect, test } from 'vitest'

import { png } from './test-support/images.ts'
import { connectRaw } from './test-support/raw-http.ts'
import { postJson, problemOf, startApi } from './test-support/start-api.ts'

test('an unknown address is a 404 problem', async () => {
  const api = await startApi()
  expect(await problemOf(await fetch(`${api.url}/job`))).toMatchObject({ status: 404, code: 'not_found' })
})

test.each([
  ['DELETE', '/jobs', 'POST, GET, HEAD, OPTIONS'],
  ['PUT', '/jobs/job_aaaaaaaaaaaaaaaaaaaaa', 'GET, HEAD, OPTIONS'],
  ['POST', '/models', 'GET, HEAD, OPTIONS'],
  ['POST', '/', 'GET, HEAD, OPTIONS'],
])('%s %s is 405 and says what is taken', async (method, path, allow) => {
  const api = await startApi()
  const response = await fetch(api.url + path, { method })
  expect(response.headers.get('allow')).toBe(allow)
  expect(await problemOf(response)).toMatchObject({ status: 405, code: 'method_not_allowed' })
})

test('OPTIONS says what an address takes; HEAD is GET without a body', async () => {
  const api = await startApi()
  const options = await fetch(`${api.url}/jobs`, { method: 'OPTIONS' })
  expect([options.status, options.headers.get('allow')]).toEqual([204, 'POST, GET, HEAD, OPTIONS'])
  const head = await fetch(`${api.url}/health`, { method: 'HEAD' })
  expect([head.status, await head.text()]).toEqual([200, ''])
  expect((await fetch(`${api.url}/nowhere`, { method: 'HEAD' })).status).toBe(404)
})

describe('every answer carries the request id', () => {
  test("the caller's where it is safe", async () => {
    const api = await startApi()
    const response = await fetch(`${api.url}/nowhere`, { headers: { 'X-Request-Id': 'abc-1' } })
    expect((await problemOf(response)).request_id).toBe('abc-1')
  })
  test('else a new one', async () => {
    const api = await startApi()
    const response = await fetch(`${api.url}/health`, { headers: { 'X-Request-Id': 'a b' } })
    expect(response.headers.get('x-request-id')).toMatch(/^req_/)
  })
})

test('an unexpected error is 500 with a fixed sentence, and its cause is in the log only', async () => {
  const api = await startApi()
  const secret = 'connect ECONNREFUSED redis-7.internal:6379'
  api.models.list = () => Promise.reject(new Error(secret))
  const response = await fetch(`${api.url}/models`)
  const text = await response.clone().text()
  expect(await problemOf(response)).toMatchObject({ status: 500, code: 'internal_error' })
  expect(text).not.toMatch(/redis-7|ECONNREFUSED|at .*\.ts/)
  expect(JSON.stringify(api.logged.filter(({ level }) => level === 50))).toContain(secret)
})

test('a manifest that can not be compiled is a 500 that says nothing of it', async () => {
  const api = await startApi()
  const [model] = api.models.models
  if (model?.manifest) model.manifest.inputSchema = { type: 'object', if: {} }
  const problem = await problemOf(await postJson(api, { input: { image: png.toString('base64'), question: '?' } }))
  expect(problem).toMatchObject({ status: 500, detail: 'Something went wrong here.' })
})

test('a request is one log line with the ids of request and job, without its address, its query or its body', async () => {
  const api = await startApi()
  const traced = { Traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }
  const body = { input: { image: png.toString('base64'), question: 'a secret question' } }
  const { id } = jobResponseSchema.parse(await (await postJson(api, body, traced)).json())
  await fetch(`${api.url}/jobs/job_aaaaaaaaaaaaaaaaaaaaa?wait=-1&key=sesame`)
  expect(api.logged).toMatchObject([
    {
      level: 30,
      method: 'POST',
      route: '/jobs',
      status: 202,
      job_id: id,
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      request_id: expect.stringMatching(/^req_/),
    },
    {
      level: 30,
      method: 'GET',
      route: '/jobs/:id',
      status: 400,
      code: 'invalid_request',
      job_id: 'job_aaaaaaaaaaaaaaaaaaaaa',
      request_id: expect.stringMatching(/^req_/),
    },
  ])
  expect(JSON.stringify(api.logged)).not.toMatch(/secret|sesame/)
})

test('what can be no id of a job is in no log line', async () => {
  const api = await startApi()
  for (const path of ['jobs/a-secret', 'jobs/job_secret', `jobs/job_${'a'.repeat(21)}secret`, 'images/a-secret']) {
    await fetch(`${api.url}/${path}`)
  }
  expect(api.logged).toHaveLength(4)
  expect(JSON.stringify(api.logged)).not.toContain('secret')
})

test('a request that is no URL is a 400 problem', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  connection.socket.write('GET / HTTP/1.1\r\nHost: a b\r\n\r\n')
  expect(await connection.until('"code":"invalid_request"')).toMatch(/^HTTP\/1\.1 400 /)
})

describe('the docs', () => {
  test('are one page whose every file comes from this server', async () => {
    const api = await startApi()
    const page = await (await fetch(`${api.url}/docs`)).text()
    const files = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file ?? '')
    expect(files).toHaveLength(4)
    for (const file of files) {
      const response = await fetch(new URL(file, `${api.url}/docs`))
      expect([file, response.status, (await response.arrayBuffer()).byteLength > 50]).toEqual([file, 200, true])
    }
  })
  test.each(['package.json', 'absolute-path.js', '..%2f..%2fpackage.json', 'constructor'])(
    '%s is not served',
    async (file) => {
      const api = await startApi()
      expect((await fetch(`${api.url}/docs/${file}`)).status).toBe(404)
    },
  )
})

test('GET / says what is where', async () => {
  const api = await startApi()
  expect(await (await fetch(api.url)).json()).toMatchObject({ submit: 'POST /jobs', docs: 'GET /docs' })
})
