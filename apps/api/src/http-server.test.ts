import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { png } from './test-support/images.ts'
import { connectRaw } from './test-support/raw-http.ts'
import { startApi } from './test-support/start-api.ts'

test('close stops listening at once and lets a running request finish', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  const body = JSON.stringify({ input: { image: png.toString('base64'), question: '?' } })
  const head = `POST /jobs HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`
  connection.socket.write(`${head}\r\n\r\n${body.slice(0, 20)}`)
  await fetch(`${api.url}/health`)
  const stopped = api.stop()
  await expect
    .poll(() =>
      fetch(`${api.url}/health`).then(
        () => 'answered',
        () => 'refused',
      ),
    )
    .toBe('refused')
  connection.socket.write(body.slice(20))
  expect(await connection.until('"status":"queued"')).toMatch(/^HTTP\/1\.1 202 /)
  await stopped
})

// Waiting for the limit instead of closing would run into the test's own.
const longerThanATest = 600_000

test('close ends while a client keeps its connection idle', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  connection.socket.write('GET /health HTTP/1.1\r\nHost: test\r\n\r\n')
  await connection.until('{"status":"ok"}')
  await api.stop(longerThanATest)
  await expect(connection.closed).resolves.toBeUndefined()
})

test('close ends while a client has connected and asked nothing yet', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  await fetch(`${api.url}/health`)
  await api.stop(longerThanATest)
  await expect(connection.closed).resolves.toBeUndefined()
})

test('close cuts a request that never finishes', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  connection.socket.write(
    'POST /jobs HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n',
  )
  await fetch(`${api.url}/health`)
  await api.stop(100)
  await expect(connection.closed).resolves.toBeUndefined()
  expect(connection.received()).toBe('')
})

describe('what is no HTTP is answered with a problem document and the connection is closed', () => {
  test.each([
    ['no Host', 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'invalid_request'],
    ['no request line', 'hello\r\n\r\n', 400, 'invalid_request'],
    [
      'two lengths',
      'POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}',
      400,
      'invalid_request',
    ],
    [
      'a length and chunks',
      'POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'invalid_request',
    ],
    ['too many headers', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, 400, 'invalid_request'],
  ])('%s', async (_, request, status, code) => {
    const api = await startApi()
    const connection = await connectRaw(api.port)
    connection.socket.write(request)
    await connection.closed
    const [head = '', body = ''] = connection.received().split('\r\n\r\n')
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(head.toLowerCase()).toContain('content-type: application/problem+json')
    expect(JSON.parse(body)).toMatchObject({ status, code, request_id: /X-Request-Id: (\S+)/i.exec(head)?.[1] })
  })

  test('but not into an answer that has begun', async () => {
    const api = await startApi()
    const connection = await connectRaw(api.port)
    const body = JSON.stringify({ input: { image: png.toString('base64'), question: '?' } })
    const submitted = await fetch(`${api.url}/jobs`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body,
    })
    const { id } = z.object({ id: z.string() }).parse(await submitted.json())
    connection.socket.write(`GET /jobs/${id}/events HTTP/1.1\r\nHost: a\r\n\r\n`)
    const begun = await connection.until('event:')
    connection.socket.write('hello\r\n\r\n')
    await connection.closed
    expect(connection.received().slice(begun.length)).not.toContain('problem+json')
  })

  test('an unknown expectation is passed over', async () => {
    const api = await startApi()
    const connection = await connectRaw(api.port)
    connection.socket.write('GET /health HTTP/1.1\r\nHost: a\r\nExpect: the-best\r\n\r\n')
    expect(await connection.until('{"status":"ok"}')).toMatch(/^HTTP\/1\.1 200 /)
  })
})
