import { describe, expect, test } from 'vitest'

import { png } from '../../test-support/images.ts'
import { connectRaw, type RawConnection } from '../../test-support/raw-http.ts'
import { postJson, problemOf, startApi } from '../../test-support/start-api.ts'

const mebibyte = 1024 * 1024

function head(...headers: string[]): string {
  return ['POST /jobs HTTP/1.1', 'Host: test', 'Content-Type: application/json', ...headers, '', ''].join('\r\n')
}

/** Writes until the server closes the connection, as a client that never looks up; how many bytes it got rid of. */
async function upload({ socket, closed }: RawConnection, chunk: Buffer, maxBytes: number): Promise<number> {
  let written = 0
  while (!socket.destroyed && written < maxBytes) {
    written += chunk.length
    if (!socket.write(chunk)) {
      await Promise.race([closed, new Promise((resolve) => socket.once('drain', resolve))])
    }
  }
  return written
}

describe('a body over the limit is refused with 413 before it is read whole', () => {
  test('by its Content-Length, without a byte of it', async () => {
    const api = await startApi()
    const connection = await connectRaw(api.port)
    connection.socket.write(head(`Content-Length: ${20 * mebibyte + 1}`))
    const answer = await connection.until('"code":"payload_too_large"')
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).toContain(`at most ${20 * mebibyte} bytes`)
  })

  test('by counting, where the length is not announced', async () => {
    const api = await startApi({ MAX_BODY_BYTES: '2048' })
    const connection = await connectRaw(api.port)
    connection.socket.write(head('Transfer-Encoding: chunked'))
    connection.socket.write(`800\r\n${'a'.repeat(2048)}\r\n`)
    connection.socket.write('1\r\na\r\n')
    // The last chunk never comes.
    expect(await connection.until('"code":"payload_too_large"')).toMatch(/^HTTP\/1\.1 413 /)
    await connection.closed
  })

  test('exactly the limit is read', async () => {
    const api = await startApi({ MAX_BODY_BYTES: '2048' })
    expect((await problemOf(await postJson(api, ' '.repeat(2048)))).code).toBe('invalid_request')
    expect((await problemOf(await postJson(api, ' '.repeat(2049)))).code).toBe('payload_too_large')
  })

  test.each([
    ['announced', `Content-Length: ${1024 * mebibyte}`],
    ['chunked', 'Transfer-Encoding: chunked'],
  ])('a client that goes on sending a gigabyte gets the answer and is cut off (%s)', async (_, header) => {
    const api = await startApi({ MAX_BODY_BYTES: '65536' })
    const connection = await connectRaw(api.port)
    connection.socket.write(head(header))
    const data = Buffer.alloc(mebibyte, 'a')
    const chunk = header.startsWith('Transfer')
      ? Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')])
      : data
    const sent = await upload(connection, chunk, 1024 * mebibyte)
    expect(connection.received()).toMatch(/^HTTP\/1\.1 413 /)
    // How much depends on the machine; a client that is not cut off gets rid of all of it.
    expect(sent).toBeLessThan(1024 * mebibyte)
  })

  test('a client that asks first (Expect: 100-continue) is told before it sends', async () => {
    const api = await startApi()
    const refused = await connectRaw(api.port)
    refused.socket.write(head('Expect: 100-continue', `Content-Length: ${21 * mebibyte}`))
    expect(await refused.until('payload_too_large')).not.toContain('100 Continue')

    const taken = await connectRaw(api.port)
    taken.socket.write(head('Expect: 100-continue', 'Content-Length: 2'))
    await taken.until('HTTP/1.1 100 Continue')
    taken.socket.write('{}')
    expect(await taken.until('"code":"invalid_request"')).toContain('input: an object (missing)')
  })

  test('an image body has the limit of an image', async () => {
    const api = await startApi({ MAX_IMAGE_BYTES: '1024' })
    const body = Buffer.concat([png, Buffer.alloc(1024)])
    const headers = { 'Content-Type': 'image/png' }
    const response = await fetch(`${api.url}/jobs?question=x`, { method: 'POST', headers, body })
    expect((await problemOf(response)).detail).toContain('1024 bytes')
  })
})

test('a body that stops arriving is answered 408 after BODY_TIMEOUT_MS and the connection closed', async () => {
  const api = await startApi({ BODY_TIMEOUT_MS: '100' })
  const connection = await connectRaw(api.port)
  connection.socket.write(`${head('Content-Length: 100')}{"input"`)
  const answer = await connection.until('"code":"request_timeout"')
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
  await connection.closed
})

test('a client that hangs up in the middle of its body leaves nothing behind', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  connection.socket.write(`${head('Content-Length: 100')}{"input"`)
  connection.socket.destroy()
  await expect.poll(() => api.logged.map(({ status }) => status)).toEqual([400])
  expect(api.jobs.submitted).toEqual([])
})

test('a connection is used again after a refused body that was read whole', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  connection.socket.write(`${head('Content-Length: 2')}{}`)
  await connection.until('invalid_request')
  connection.socket.write('GET /health HTTP/1.1\r\nHost: test\r\n\r\n')
  expect(await connection.until('{"status":"ok"}')).toContain('HTTP/1.1 200 ')
})
