import { describe, expect, test } from 'vitest'

import { png } from '../test-support/images.ts'
import { connectRaw } from '../test-support/raw-http.ts'
import { startApi } from '../test-support/start-api.ts'

/** What comes back to a request that is written as it is, until the server closes. */
async function exchange(port: number, lines: string[], body = ''): Promise<string> {
  const connection = await connectRaw(port)
  connection.socket.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1'))
  await connection.closed
  return connection.received()
}

describe('a header that may be there once', () => {
  test.each([
    ['Authorization', 'Bearer a', 'Bearer b'],
    ['authorization', 'Bearer a', 'Bearer a'],
    ['Host', 'a', 'b'],
    ['HOST', 'a', 'a'],
    ['Content-Type', 'application/json', 'image/png'],
    ['Content-Encoding', 'identity', 'identity'],
    ['Content-Length', '0', '0'],
    ['Idempotency-Key', 'a', 'b'],
    ['Last-Event-ID', '1', '3'],
  ])('%s twice is 400, the values %s and %s', async (name, one, other) => {
    const api = await startApi()
    const host = name.toLowerCase() === 'host' ? [] : ['Host: test']
    const answer = await exchange(api.port, [
      'GET /models HTTP/1.1',
      ...host,
      'Connection: close',
      `${name}: ${one}`,
      `x-between: 1`,
      `${name.toLowerCase()}: ${other}`,
    ])
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer.toLowerCase()).toContain('content-type: application/problem+json')
    expect(answer).toContain('"code":"invalid_request"')
  })

  test('is named in the answer, and a good key beside another one opens nothing', async () => {
    const api = await startApi({ ALLOW_ANONYMOUS: 'false' })
    const good = `Bearer ${api.keys.add(['read'])}`
    for (const values of [
      [good, 'Basic eDp5'],
      ['Basic eDp5', good],
      [good, good],
    ]) {
      const answer = await exchange(api.port, [
        'GET /models HTTP/1.1',
        'Host: test',
        'Connection: close',
        ...values.map((value) => `Authorization: ${value}`),
      ])
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain('The header Authorization may be sent only once.')
    }
  })

  test('may be beside headers that are lists, however often those come', async () => {
    const api = await startApi()
    const lists = ['Accept: a/b', 'Accept: c/d', 'Prefer: x', 'Prefer: y', 'X-Forwarded-For: 1', 'X-Forwarded-For: 2']
    const answer = await exchange(api.port, ['GET /models HTTP/1.1', 'Host: test', 'Connection: close', ...lists])
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe('the Host', () => {
  test.each(['/health/ready', '/health', '/models', '/openapi.json'])(
    'is not needed by HTTP/1.0: GET %s is 200 and the connection ends',
    async (path) => {
      const api = await startApi()
      const answer = await exchange(api.port, [`GET ${path} HTTP/1.0`])
      expect(answer).toMatch(/^HTTP\/1\.1 200 /)
      expect(answer.toLowerCase()).toContain('connection: close')
    },
  )

  test('is needed by HTTP/1.1, in every form of the target', async () => {
    const api = await startApi()
    for (const target of ['/health', 'http://test/health']) {
      const answer = await exchange(api.port, [`GET ${target} HTTP/1.1`, 'Connection: close'])
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain('The header Host is missing')
    }
  })

  test.each([
    ['test', 200],
    ['TEST:80', 200],
    ['my_api:3000', 200],
    ['[::1]:3000', 200],
    ['127.0.0.1', 200],
    ['example.com.', 200],
    ['a b', 400],
    ['localhost:99999', 400],
    ['[::1', 400],
    ['user@test', 400],
    ['test/path', 400],
  ])('%j is answered with %i', async (host, status) => {
    const api = await startApi()
    const answer = await exchange(api.port, ['GET /health HTTP/1.1', `Host: ${host}`, 'Connection: close'])
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  })
})

describe('HTTP/1.0', () => {
  test('keeps a connection only if the client asks for that', async () => {
    const api = await startApi()
    const connection = await connectRaw(api.port)
    connection.socket.write('GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    const first = await connection.until('{"status":"ok"}')
    expect(first.toLowerCase()).toContain('connection: keep-alive')
    expect(first.toLowerCase()).toContain('content-length: 15')
    connection.socket.write('GET /health/live HTTP/1.0\r\n\r\n')
    await connection.closed
    expect(connection.received().slice(first.length)).toContain('{"status":"ok"}')
  })

  test('submits a job; it is sent no 100 and no chunks', async () => {
    const api = await startApi()
    const answer = await exchange(
      api.port,
      [
        'POST /jobs?question=why HTTP/1.0',
        'Content-Type: image/png',
        'Expect: 100-continue',
        `Content-Length: ${png.length}`,
      ],
      png.toString('latin1'),
    )
    expect(answer).toMatch(/^HTTP\/1\.1 202 /)
    expect(answer.toLowerCase()).not.toContain('transfer-encoding')
  })
})

describe('the request target', () => {
  test.each([
    ['GET', 'http://elsewhere/health', 200],
    ['GET', 'HTTP://elsewhere/health', 200],
    ['OPTIONS', '*', 204],
    ['GET', '*', 400],
    ['GET', '//health', 404],
    ['GET', '//elsewhere/health', 404],
    ['GET', '/%68ealth', 200],
    ['GET', '/health%2Fready', 404],
    ['GET', '/x/../health', 200],
    ['GET', '/health?x=%zz', 200],
  ])('%s %s is %i', async (method, target, status) => {
    const api = await startApi()
    const answer = await exchange(api.port, [`${method} ${target} HTTP/1.1`, 'Host: test', 'Connection: close'])
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  })
})

test('100 is sent to who expects it, and to nobody else', async () => {
  const api = await startApi()
  const head = `POST /jobs?question=why HTTP/1.1\r\nHost: test\r\nContent-Type: image/png\r\nContent-Length: ${png.length}\r\n`
  const asking = await connectRaw(api.port)
  asking.socket.write(`${head}Expect: 100-Continue\r\n\r\n`)
  await asking.until('HTTP/1.1 100 ')
  asking.socket.write(png)
  await asking.until('HTTP/1.1 202 ')
  const other = await connectRaw(api.port)
  other.socket.write(`${head}Expect: the-best\r\n\r\n`)
  other.socket.write(png)
  expect(await other.until('HTTP/1.1 202 ')).not.toContain('100 Continue')
})
