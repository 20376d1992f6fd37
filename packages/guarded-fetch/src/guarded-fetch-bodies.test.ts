import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'

import { describe, expect, test } from 'vitest'

import { openGuard, start } from './test-support/guard.ts'
import { startRawServer, startServer } from './test-support/start-server.ts'

const image = { 'Content-Type': 'image/test' }
const maxBytes = 100_000

/** What is made of an answer with these headers and this body. */
async function outcomeOf(headers: Record<string, string>, body: Uint8Array): Promise<unknown> {
  const { port } = await startServer((_, response) => response.writeHead(200, headers).end(body))
  return openGuard(port)(`http://name.test:${port}/`)
}

/** What is made of a server that writes `begin` and then `more` for as long as it is listened to; and how much it wrote. */
async function endless(begin: string, more: Buffer): Promise<{ kind: string; written: number; open: () => number }> {
  const sockets: Socket[] = []
  const { port, open } = await startRawServer((socket) => {
    sockets.push(socket)
    const pump = (): void => {
      while (!socket.destroyed && socket.write(more));
    }
    socket.write(begin)
    socket.on('drain', pump)
    pump()
  })
  const { kind } = await openGuard(port)(`http://name.test:${port}/`)
  await expect.poll(open).toBe(0)
  return { kind, written: sockets[0]?.bytesWritten ?? 0, open }
}

describe('the size', () => {
  const body = (bytes: number): Buffer => Buffer.concat([start, Buffer.alloc(bytes - start.length)])

  test('may be the limit and not a byte more, announced or not', async () => {
    const chunked = { ...image, 'Transfer-Encoding': 'chunked' }
    expect(await outcomeOf(image, body(maxBytes))).toMatchObject({ kind: 'fetched' })
    expect(await outcomeOf(chunked, body(maxBytes))).toMatchObject({ kind: 'fetched' })
    expect(await outcomeOf(image, body(maxBytes + 1))).toEqual({ kind: 'too_large' })
    expect(await outcomeOf(chunked, body(maxBytes + 1))).toEqual({ kind: 'too_large' })
  })

  test('too large by its announcement is refused unread', async () => {
    const { port } = await startRawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Type: image/test\r\nContent-Length: ${maxBytes + 1}\r\n\r\n`)
    })
    expect(await openGuard(port)(`http://name.test:${port}/`)).toEqual({ kind: 'too_large' })
  })

  const head = 'HTTP/1.1 200 OK\r\nContent-Type: image/test\r\n'
  // What the two ends' kernels hold comes on top of what was read.
  const buffers = 32 * 1024 * 1024

  test.each<[string, string, string, Buffer]>([
    ['a body without end', 'too_large', `${head}\r\nGOODTYPE`, Buffer.alloc(65_536)],
    [
      'chunks without end',
      'too_large',
      `${head}Transfer-Encoding: chunked\r\n\r\n8\r\nGOODTYPE\r\n`,
      Buffer.from(`10000\r\n${'a'.repeat(65_536)}\r\n`),
    ],
    [
      'a chunk for every byte',
      'unreachable',
      `${head}Transfer-Encoding: chunked\r\n\r\n8\r\nGOODTYPE\r\n`,
      Buffer.from('1\r\na\r\n'.repeat(10_000)),
    ],
    [
      'interim answers and then a body without length',
      'unreachable',
      `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(7000)}HTTP/1.1 200 OK\r\n\r\nGOODTYPE`,
      Buffer.alloc(1000, 'a'),
    ],
    ['headers without end', 'unreachable', 'HTTP/1.1 200 OK\r\n', Buffer.from(`X: ${'a'.repeat(1000)}\r\n`)],
    ['one header without end', 'unreachable', 'HTTP/1.1 200 OK\r\nX: ', Buffer.alloc(65_536, 'a')],
    [
      'interim answers without end',
      'unreachable',
      '',
      Buffer.from('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(1000)),
    ],
  ])('of %s is cut off', async (_, kind, begin, more) => {
    const outcome = await endless(begin, more)
    expect(outcome.kind).toBe(kind)
    expect(outcome.written).toBeLessThan(buffers)
  })

  test('of less than was announced is no image', async () => {
    const { port } = await startRawServer((socket) => {
      socket.end('HTTP/1.1 200 OK\r\nContent-Type: image/test\r\nContent-Length: 100\r\n\r\nGOODTYPE')
    })
    expect((await openGuard(port)(`http://name.test:${port}/`)).kind).toBe('unreachable')
  })
})

describe('the type', () => {
  test.each<[string, Record<string, string>, string]>([
    ['as asked', { 'Content-Type': 'image/test' }, 'fetched'],
    ['with a parameter, in capitals', { 'Content-Type': 'IMAGE/Test; a=b' }, 'fetched'],
    ['not told', {}, 'fetched'],
    ['of a page', { 'Content-Type': 'text/html' }, 'wrong_type'],
    ['of JSON', { 'Content-Type': 'application/json' }, 'wrong_type'],
    ['that only begins so', { 'Content-Type': 'image/test2' }, 'wrong_type'],
    ['packed as said', { ...image, 'Content-Encoding': 'gzip' }, 'wrong_type'],
    ['packed twice', { ...image, 'Content-Encoding': 'identity, gzip' }, 'wrong_type'],
    ['not packed, and said so', { ...image, 'Content-Encoding': 'identity' }, 'fetched'],
  ])('%s', async (_, headers, kind) => {
    expect(await outcomeOf(headers, start)).toMatchObject({ kind })
  })

  test.each<[string, string]>([
    ['of other bytes', 'BAD TYPE and more'],
    ['of too few bytes', 'GOOD'],
    ['of none', ''],
  ])('%s is refused, whatever is said of it', async (_, body) => {
    expect(await outcomeOf(image, Buffer.from(body))).toEqual({ kind: 'wrong_type' })
  })

  test('is told as soon as its first bytes are there, in however many pieces', async () => {
    const { port, open } = await startRawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n')
      for (const letter of 'BAD TYPE') setImmediate(() => socket.write(letter))
    })
    expect(await openGuard(port)(`http://name.test:${port}/`)).toEqual({ kind: 'wrong_type' })
    await expect.poll(open).toBe(0)
  })

  test('of a gzip bomb is refused without unpacking it, named or not', async () => {
    const bomb = gzipSync(Buffer.concat([start, Buffer.alloc(50_000_000)]))
    expect(bomb.length).toBeLessThan(maxBytes)
    expect(await outcomeOf({ ...image, 'Content-Encoding': 'gzip' }, bomb)).toEqual({ kind: 'wrong_type' })
    expect(await outcomeOf({ ...image, 'Transfer-Encoding': 'gzip, chunked' }, bomb)).toEqual({ kind: 'wrong_type' })
    expect(await outcomeOf(image, bomb)).toEqual({ kind: 'wrong_type' })
  })
})

test.each<[string, string]>([
  ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ['no HTTP', '+PONG\r\n'],
  ['a banner', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Length: 9\r\n\r\nGOODTYPE'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nTransfer-Encoding: chunked\r\n\r\nGOODTYPE'],
])('a server that answers with %s is unreachable', async (_, answer) => {
  const { port } = await startRawServer((socket) => socket.end(answer))
  expect((await openGuard(port)(`http://name.test:${port}/`)).kind).toBe('unreachable')
})
