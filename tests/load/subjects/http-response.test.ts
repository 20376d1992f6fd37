import { expect, test } from 'vitest'

import { createResponseReader } from './http-response.ts'

test('answers are whole by their length, however they are cut, one after the other on a connection', () => {
  const { take } = createResponseReader()
  const pieces = [
    'HTTP/1.1 200 OK\r\nContent-',
    'Length: 5\r\n\r\nhel',
    'lo',
    'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n',
  ]
  expect(pieces.map((piece) => take(Buffer.from(piece)))).toEqual([
    null,
    null,
    { status: 200, body: 'hello' },
    { status: 404, body: '' },
  ])
})

test('answers in chunks are whole with the last chunk', () => {
  const { take } = createResponseReader()
  expect(take(Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'))).toBeNull()
  expect(take(Buffer.from('0\r\n\r\n'))?.status).toBe(200)
})
