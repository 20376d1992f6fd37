import { describe, expect, onTestFinished, test } from 'vitest'

import { createGuardedFetch } from './guarded-fetch.ts'
import { certificate } from './test-support/certificate.ts'
import { causeOf, guardOptions, openGuard, start } from './test-support/guard.ts'
import { startRawServer, startServer, startTlsServer } from './test-support/start-server.ts'

const image = { 'Content-Type': 'image/test' }

/** A server with an image at every address, that counts how often it was asked. */
async function imageServer(): Promise<{ port: number; asked: () => number }> {
  let asked = 0
  const { port } = await startServer((_, response) => {
    asked += 1
    response.writeHead(200, image).end(start)
  })
  return { port, asked: () => asked }
}

test('an image comes back byte by byte, by a request that says little', async () => {
  const seen: unknown[] = []
  const { port } = await startServer((request, response) => {
    seen.push(request.method, request.url, request.headers)
    response.writeHead(200, { ...image, 'Set-Cookie': 'a=b' }).end(Buffer.concat([start, Buffer.alloc(50_000, 7)]))
  })
  const guard = openGuard(port)
  const outcome = await guard(`http://name.test:${port}/a%20b.jpg?c=d#fragment`)
  expect(outcome).toEqual({ kind: 'fetched', bytes: Buffer.concat([start, Buffer.alloc(50_000, 7)]) })
  await guard(`http://name.test:${port}/`)
  const headers = {
    'user-agent': 'test',
    accept: 'image/test',
    'accept-encoding': 'identity',
    host: `name.test:${port}`,
    connection: 'close',
  }
  expect(seen).toEqual(['GET', '/a%20b.jpg?c=d', headers, 'GET', '/', headers])
})

test('a proxy in the environment is not used', async () => {
  const { port } = await imageServer()
  const proxy = await imageServer()
  for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'NODE_USE_ENV_PROXY']) {
    const before = process.env[name]
    process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : `http://127.0.0.1:${proxy.port}`
    onTestFinished(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  expect((await openGuard(port)(`http://name.test:${port}/`)).kind).toBe('fetched')
  expect(proxy.asked()).toBe(0)
})

describe('the address that is connected to is the one that was checked', () => {
  test('a name that has a public address first and a private one then is reached once', async () => {
    let asked = 0
    const { port } = await startServer((_, response) => {
      asked += 1
      response.writeHead(302, { Location: '/again' }).end()
    })
    // 127.0.0.1 stands for the public address, 127.0.0.2, where the server is too, for the private one.
    const answers = ['127.0.0.1', '127.0.0.2']
    const guard = openGuard(port, { resolve: async () => answers.splice(0, 1) })
    expect(causeOf(await guard(`http://rebinding.test:${port}/`))).toBe('the host has an address that is refused')
    expect([asked, answers]).toEqual([1, []])
  })

  test('a name is resolved once for a connection, which goes where that answer says', async () => {
    const server = await imageServer()
    let lookups = 0
    const guard = openGuard(server.port, {
      resolve: async () => {
        lookups += 1
        // A second look would find an address at which nothing listens.
        return lookups === 1 ? ['127.0.0.1'] : ['127.0.0.9']
      },
    })
    expect((await guard(`http://rebinding.test:${server.port}/`)).kind).toBe('fetched')
    expect([lookups, server.asked()]).toEqual([1, 1])
  })

  test('one private address among public ones condemns the name', async () => {
    const server = await imageServer()
    const guard = openGuard(server.port, { resolve: async () => ['127.0.0.1', '10.0.0.1'] })
    expect(causeOf(await guard(`http://mixed.test:${server.port}/`))).toBe('the host has an address that is refused')
    expect(server.asked()).toBe(0)
  })

  test('a name with more addresses than an honest one has is refused', async () => {
    const server = await imageServer()
    const guard = openGuard(server.port, { resolve: async () => Array.from({ length: 33 }, () => '127.0.0.1') })
    expect(causeOf(await guard(`http://many.test:${server.port}/`))).toBe('the host has too many addresses')
  })

  test('the next address is tried where one refuses', async () => {
    const server = await imageServer()
    const guard = openGuard(server.port, {
      resolve: async () => ['127.0.0.9', '127.0.0.1'],
      isAllowed: (address) => address.startsWith('127.0.0.'),
    })
    expect((await guard(`http://two.test:${server.port}/`)).kind).toBe('fetched')
  })

  test('the socket is asked again where it is, before anything is sent', async () => {
    const server = await imageServer()
    let calls = 0
    const guard = openGuard(server.port, {
      isAllowed: () => {
        calls += 1
        return calls === 1
      },
    })
    expect(causeOf(await guard(`http://name.test:${server.port}/`))).toBe('connected to an address that is refused')
    expect([calls, server.asked()]).toEqual([2, 0])
  })

  test.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '①②⑦.⓪.⓪.①',
    '0.0.0.0',
    '[::1]',
    '[::ffff:127.0.0.1]',
    'localhost',
    'loopback.test',
    'mapped.test',
  ])('%s leads nowhere by default, though a server listens there', async (host) => {
    const server = await imageServer()
    const guard = createGuardedFetch({
      ...guardOptions(server.port),
      resolve: async (name) => (name === 'mapped.test' ? ['::ffff:127.0.0.1'] : ['127.0.0.1']),
    })
    expect(causeOf(await guard(`http://${host}:${server.port}/`))).toBe('the host has an address that is refused')
    expect(server.asked()).toBe(0)
  })
})

describe('time', () => {
  test.each([
    ['says nothing', '', ''],
    ['sends its headers letter by letter', 'HTTP/1.1 200 OK\r\nX-Slow: ', 'a'],
    ['sends its body letter by letter', 'HTTP/1.1 200 OK\r\nContent-Type: image/test\r\n\r\nGOODTYPE', 'a'],
    ['goes on announcing an answer', 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ])('is limited for a server that %s, which loses its connection', async (_, begin, more) => {
    const server = await startRawServer((socket) => {
      socket.write(begin)
      const timer = setInterval(() => socket.write(more), 20)
      socket.on('close', () => clearInterval(timer))
    })
    const guard = openGuard(server.port, { timeoutMs: 200 })
    expect((await guard(`http://name.test:${server.port}/`)).kind).toBe('unreachable')
    await expect.poll(server.open).toBe(0)
  })

  test('is limited for a resolver that never answers', async () => {
    const guard = openGuard(80, { timeoutMs: 50, resolve: () => new Promise(() => {}) })
    expect(causeOf(await guard('http://name.test/'))).toBe('the time is over')
  })

  test('ends when the caller gives up', async () => {
    const server = await startRawServer(() => {})
    const caller = new AbortController()
    const fetching = openGuard(server.port)(`http://name.test:${server.port}/`, { signal: caller.signal })
    await expect.poll(server.open).toBe(1)
    caller.abort()
    expect((await fetching).kind).toBe('unreachable')
    await expect.poll(server.open).toBe(0)
    const late = await openGuard(server.port)(`http://name.test:${server.port}/`, { signal: AbortSignal.abort() })
    expect(causeOf(late)).toBe('the caller gave up')
  })
})

describe('HTTPS', () => {
  test('holds the certificate against the name, which is not the address', async () => {
    const { port } = await startTlsServer((_, response) => response.writeHead(200, image).end(start))
    const guard = openGuard(port, { protocols: ['https:'], ca: certificate })
    expect((await guard(`https://images.test:${port}/`)).kind).toBe('fetched')
    expect(causeOf(await guard(`https://other.test:${port}/`))).toContain('other.test')
  })

  test('refuses a certificate of nobody, whatever the environment says', async () => {
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    onTestFinished(() => {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before
    })
    const { port } = await startTlsServer((_, response) => response.writeHead(200, image).end(start))
    expect((await openGuard(port, { protocols: ['https:'] })(`https://images.test:${port}/`)).kind).toBe('unreachable')
  })

  test('is not left for HTTP by a redirect, unless HTTP is allowed', async () => {
    const plain = await imageServer()
    const { port } = await startTlsServer((_, response) => {
      response.writeHead(302, { Location: `http://images.test:${plain.port}/` }).end()
    })
    const options = { ports: [port, plain.port], ca: certificate }
    const strict = openGuard(port, { ...options, protocols: ['https:'] })
    expect((await strict(`https://images.test:${port}/`)).kind).toBe('unreachable')
    expect(plain.asked()).toBe(0)
    const both = openGuard(port, { ...options, protocols: ['https:', 'http:'] })
    expect((await both(`https://images.test:${port}/`)).kind).toBe('fetched')
  })
})

test('a port where nobody listens, and a server that hangs up, are unreachable', async () => {
  const { port } = await startRawServer((socket) => socket.destroy())
  expect((await openGuard(port)(`http://name.test:${port}/`)).kind).toBe('unreachable')
  expect((await openGuard(1)('http://name.test:1/')).kind).toBe('unreachable')
})
