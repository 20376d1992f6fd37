import { describe, expect, test } from 'vitest'

import { causeOf, openGuard, start } from './test-support/guard.ts'
import { startServer } from './test-support/start-server.ts'

const image = { 'Content-Type': 'image/test' }

describe('redirects', () => {
  /** A server whose first answer leads there. */
  async function leadingTo(
    location: (port: number) => string,
    status = 302,
  ): Promise<{ port: number; seen: string[] }> {
    const seen: string[] = []
    const server = await startServer((request, response) => {
      seen.push(request.url ?? '')
      if (request.url === '/image') response.writeHead(200, image).end(start)
      else response.writeHead(status, { Location: location(server.port) }).end('moved')
    })
    return { port: server.port, seen }
  }

  test.each([301, 302, 303, 307, 308])('%i is followed, relative ones too', async (status) => {
    const { port, seen } = await leadingTo(() => '/image', status)
    expect((await openGuard(port)(`http://name.test:${port}/first`)).kind).toBe('fetched')
    expect(seen).toEqual(['/first', '/image'])
  })

  test.each<[string, (port: number) => string]>([
    ['a private address', (port) => `http://10.0.0.1:${port}/`],
    ['the metadata service', (port) => `http://169.254.169.254:${port}/latest/meta-data/`],
    ['a private name', (port) => `http://inside.test:${port}/`],
    ['IPv6 loopback', (port) => `http://[::1]:${port}/`],
    ['another port', () => 'http://name.test:6379/'],
    ['another scheme', () => 'file:///etc/passwd'],
    ['a scheme that is not allowed', () => 'gopher://name.test/'],
    ['a user name', (port) => `http://user:password@name.test:${port}/image`],
    ['a host that is not on the list', (port) => `http://other.test:${port}/image`],
    ['nowhere', () => 'http://'],
  ])('to %s are refused as unreachable', async (_, location) => {
    const { port, seen } = await leadingTo(location)
    const guard = openGuard(port, {
      hosts: ['name.test', 'inside.test', '10.0.0.1', '169.254.169.254', '::1'],
      resolve: async (name) => (name === 'inside.test' ? ['10.0.0.1'] : ['127.0.0.1']),
    })
    expect((await guard(`http://name.test:${port}/first`)).kind).toBe('unreachable')
    expect(seen).toEqual(['/first'])
  })

  test('in a circle end after the limit', async () => {
    const { port, seen } = await leadingTo(() => '/first')
    expect(causeOf(await openGuard(port, { maxRedirects: 2 })(`http://name.test:${port}/first`))).toBe(
      'too many redirects',
    )
    expect(seen).toHaveLength(3)
  })

  test('are not followed where none are wanted', async () => {
    const { port, seen } = await leadingTo(() => '/image')
    const outcome = await openGuard(port, { maxRedirects: 0 })(`http://name.test:${port}/first`)
    expect([outcome.kind, seen]).toEqual(['unreachable', ['/first']])
  })

  test('without an address, and other statuses, are answers', async () => {
    const { port } = await startServer((request, response) => {
      response.writeHead(Number(request.url?.slice(1)), image).end(start)
    })
    for (const status of [201, 204, 206, 300, 302, 304, 401, 404, 500]) {
      expect(await openGuard(port)(`http://name.test:${port}/${status}`)).toEqual({ kind: 'unexpected_status', status })
    }
  })
})
