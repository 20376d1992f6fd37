import { problemSchema } from '@vision-queue/protocol'
import { final, forms, submit } from '@vision-queue/test-support/client'
import { readExamples } from '@vision-queue/test-support/examples'
import { startSystem, type System } from '@vision-queue/test-support/system'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { exchange, requestBytes } from './http-message.ts'
import { listRedisKeys } from './redis-keys.ts'

const [example] = readExamples()
if (example === undefined) throw new Error('There are no examples')
const image = example.image.toString('base64')
const json = [['Content-Type', 'application/json']] as const

let system: System
let port: number
beforeAll(async () => {
  system = await startSystem({ apiEnv: { LOG_LEVEL: 'info' }, consumerEnv: { ENGINES: '1', RESULT_TTL_MS: '600000' } })
  port = Number(new URL(system.url).port)
})
afterAll(async () => {
  await system.stop()
})

async function post(body: string): Promise<{ status: number; code: string; detail: string }> {
  const answer = await exchange(port, requestBytes({ target: '/jobs', headers: json, body }))
  if (answer === null) throw new Error('no answer')
  const { code, detail } = problemSchema.parse(JSON.parse(answer.body))
  return { status: answer.status, code, detail }
}

describe('a second request hidden in the first is not served', () => {
  const hidden = 'GET /models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  test.each([
    ['two lengths', 'Content-Length: 2\r\nContent-Length: 60', '{}'],
    ['a length and chunks', 'Content-Length: 2\r\nTransfer-Encoding: chunked', '0\r\n\r\n'],
    ['chunks that are not the last coding', 'Transfer-Encoding: chunked, identity', '0\r\n\r\n'],
    ['an unknown coding', 'Transfer-Encoding: xchunked', '0\r\n\r\n'],
    ['a space before the colon', 'Transfer-Encoding : chunked', '0\r\n\r\n'],
    ['a length with a sign', 'Content-Length: +2', '{}'],
    ['a negative chunk', 'Transfer-Encoding: chunked', '-1\r\nx\r\n'],
  ])('%s', async (_, headers, body) => {
    const request = `POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${headers}\r\n\r\n${body}${hidden}`
    const answer = await exchange(port, Buffer.from(request))
    expect(answer?.status).toBe(400)
    expect(answer?.body).not.toContain('shapes-vqa')
  })
})

describe('what a caller names stays out of Redis, of paths and of headers', () => {
  const names = [
    '{x}:admitted',
    'a*',
    '../shapes-vqa',
    '..',
    'shapes-vqa\0',
    'shapes-vqa\r\nDEL x',
    '__proto__',
    'toString',
  ]
  test.each(names)('the model %j', async (model) => {
    const before = await listRedisKeys(system.redis.url)
    for (const reference of [model, `${model}@1`, `shapes-vqa@${model}`]) {
      const refused = await post(JSON.stringify({ model: reference, input: { image, question: '?' } }))
      expect(refused).toMatchObject({ status: 404, code: 'model_not_found' })
    }
    expect(await listRedisKeys(system.redis.url)).toEqual(before)
  })

  test.each([
    'job_V1StGXR8Z5jdHi6BmyTa:',
    'job_*********************',
    '../job_V1StGXR8Z5jdHi6BmyTab',
    'job_V1StGXR8Z5jdHi6BmyTab\r\nX-Injected: yes',
    'vq:result:job_V1StGXR8Z5jdHi6BmyTab',
    '__proto__',
  ])('the id %j', async (id) => {
    for (const path of [
      `/jobs/${encodeURIComponent(id)}`,
      `/jobs/${encodeURIComponent(id)}/events`,
      `/images/${encodeURIComponent(id)}`,
    ]) {
      const answer = await exchange(port, requestBytes({ method: 'GET', target: path }))
      expect(answer?.status).toBe(404)
      expect(answer?.headers.has('x-injected')).toBe(false)
    }
  })

  test.each([
    '/docs/..%2f..%2fpackage.json',
    '/docs/../../package.json',
    '/docs/%2e%2e/package.json',
    '/docs/LICENSE',
    '/docs/constructor',
  ])('the file %s', async (target) => {
    expect((await exchange(port, requestBytes({ method: 'GET', target })))?.status).toBe(404)
  })
})

test('a request id that is none of ours is replaced, and every log line stays one line of JSON', async () => {
  for (const id of ['a\tb', '{"level":60}', 'x'.repeat(65), '\u001b[2J', 'a b', 'a\u0085b']) {
    const headers = [['X-Request-Id', id]] as const
    const answer = await exchange(port, requestBytes({ method: 'GET', target: '/nothing', headers }))
    expect(answer?.headers.get('x-request-id')).toMatch(/^req_/)
  }
  const lines = (system.apis[0]?.output() ?? '').split('\n').slice(1, -1)
  expect(lines.length).toBeGreaterThan(5)
  for (const line of lines) expect(() => JSON.parse(line)).not.toThrow()
})

test('keys of a prototype change nothing, for this job or another', async () => {
  const body = `{"model":"shapes-vqa","input":{"image":"${image}","question":"How many?"},"cache":false,
    "parameters":{"__proto__":{"top_k":3}},"metadata":{"__proto__":"x","constructor":"y"}}`
  const response = await fetch(`${system.url}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body,
  })
  const answered: unknown = await response.json()
  expect(answered).toMatchObject({ status: 'succeeded', output: { answers: [{}] } })
  const next = await final(system.url, await submit(system.url, example))
  expect(next).toMatchObject({ status: 'succeeded', metadata: null, output: { answers: [{}] } })
})

test('numbers beyond all bounds are no numbers', async () => {
  for (const number of ['1e999', '-1e999', '1e308', '9007199254740993', '0.5']) {
    const body = `{"model":"shapes-vqa","input":{"image":"${image}","question":"?"},"parameters":{"top_k":${number}}}`
    // What JSON can't hold is refused before the model is asked.
    const code = number.endsWith('1e999') ? 'invalid_request' : 'invalid_input'
    expect(await post(body)).toMatchObject({ code })
    const deadline = `{"model":"shapes-vqa","input":{"image":"${image}","question":"?"},"deadline_ms":${number}}`
    expect(await post(deadline)).toMatchObject({ status: 400, code: 'invalid_request' })
  }
})

test('what says it is an image and is a program, a page or an address is refused unread', async () => {
  for (const content of [
    '<svg onload="alert(1)"/>',
    '#!/bin/sh',
    '%PDF-1.7',
    'https://127.0.0.1/',
    'file:///etc/passwd',
  ]) {
    const sent = await forms.raw(system.url, { ...example, image: Buffer.from(content) })
    expect(sent.status).toBe(415)
  }
})
