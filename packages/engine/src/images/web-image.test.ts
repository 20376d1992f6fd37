import { createHash } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import { once } from 'node:events'

import { expect, onTestFinished, test } from 'vitest'

import { readWebImage } from './web-image.ts'

const content = Buffer.from('the bytes of an image')
const image = { hash: createHash('sha256').update(content).digest('hex'), bytes: content.length, timeoutMs: 20_000 }
const secret = 'X-Amz-Signature=secret'

/** The address of a store that answers so, with a right to read in it. */
async function storeThat(answers: RequestListener): Promise<string> {
  const server = createServer(answers).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('It has no port.')
  return `http://127.0.0.1:${address.port}/image?${secret}`
}

test('an image is read by its address', async () => {
  const url = await storeThat((_, response) => response.end(content))
  expect(await readWebImage({ ...image, url })).toEqual(new Uint8Array(content))
})

test.each<[string, RequestListener]>([
  ['404', (_, response) => response.writeHead(404).end()],
  ['other bytes of the same number', (_, response) => response.end(Buffer.alloc(content.length))],
  ['fewer bytes', (_, response) => response.end(content.subarray(1))],
  ['one byte more', (_, response) => response.end(Buffer.concat([content, Buffer.of(0)]))],
  ['nothing', (_, response) => response.end()],
])('an image is gone where the store answers with %s', async (_, answers) => {
  const url = await storeThat(answers)
  expect(await readWebImage({ ...image, url })).toBeNull()
})

test('bytes without an end are not read beyond those that were to come', async () => {
  let written = 0
  const url = await storeThat((_, response) => {
    const write = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536))) written += 65_536
      if (!response.destroyed) response.once('drain', write)
    }
    write()
  })
  expect(await readWebImage({ ...image, url })).toBeNull()
  // What the kernel and the client take ahead, and far from without an end.
  expect(written).toBeLessThan(64 * 1024 * 1024)
})

test.each<[string, RequestListener, RegExp]>([
  ['an error', (_, response) => response.writeHead(503).end('busy'), /answered 503/],
  ['a refusal of its signature', (_, response) => response.writeHead(403).end(), /answered 403/],
  [
    'another place, which is not asked',
    (request, response) => {
      if (request.url?.startsWith('/image') === true) response.writeHead(302, { location: '/elsewhere' }).end()
      else response.end(content)
    },
    /fetch failed/,
  ],
  ['an end in the middle', (_, response) => void response.write('the', () => response.destroy()), /terminated/],
])(
  'nothing is known of it where the store answers with %s, and the error names no address',
  async (_, answers, why) => {
    const url = await storeThat(answers)
    const error: unknown = await readWebImage({ ...image, url }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(Error)
    expect(String(error)).toMatch(why)
    expect(String(error)).not.toContain(secret)
  },
)

test('a store that does not answer in time is given up', async () => {
  const url = await storeThat(() => {})
  await expect(readWebImage({ ...image, url, timeoutMs: 50 })).rejects.toThrow('timeout')
})
