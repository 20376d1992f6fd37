import { createServer, type RequestListener } from 'node:http'

import { parseSettings } from '@vision-queue/process'
import { describe, expect, onTestFinished, test } from 'vitest'

import { apiSettings } from '../config.ts'
import { png, pngHeader } from '../test-support/images.ts'
import { postJson, problemOf, startApi, type TestApi } from '../test-support/start-api.ts'

const question = 'What colour?'
/** The one sentence for what can't be reached and what may not. */
const unreachable = {
  status: 422,
  code: 'image_unreachable',
  detail: 'The image could not be fetched from this address.',
}

/** A web server on loopback, for the names of a test; its port, and what it was asked for. */
async function startSite(listener: RequestListener): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    listener(request, response)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the site has no port')
  return { port: address.port, asked }
}

const givePng: RequestListener = (_, response) => response.writeHead(200, { 'Content-Type': 'image/png' }).end(png)

/** An API that takes addresses with this port; loopback alone counts as public, and every name leads there. */
async function startFetchingApi(port: number, env: Record<string, string> = {}): Promise<TestApi> {
  return startApi(
    { IMAGE_URLS: 'http+https', IMAGE_URL_PORTS: String(port), MAX_IMAGE_BYTES: '4096', ...env },
    {
      isAllowed: (address) => address === '127.0.0.1',
      resolve: async (name) => (name === 'inside.test' ? ['10.0.0.1'] : ['127.0.0.1']),
    },
  )
}

function postAddress(api: TestApi, image: string): Promise<Response> {
  return postJson(api, { model: 'shapes-vqa', input: { image, question } })
}

describe('an image by its address', () => {
  test('is in the queue as if its bytes had been sent, by JSON and by form', async () => {
    const { port, asked } = await startSite(givePng)
    const api = await startFetchingApi(port)
    expect((await postAddress(api, `http://a.test:${port}/cat.png?size=1`)).status).toBe(202)
    const form = new FormData()
    form.set('image', `HTTP://a.test:${port}/dog.png`)
    form.set('question', question)
    expect((await fetch(`${api.url}/jobs`, { method: 'POST', body: form })).status).toBe(202)
    expect((await postAddress(api, png.toString('base64'))).status).toBe(202)
    const [byJson, byForm, byBytes] = api.jobs.submitted
    for (const submitted of [byJson, byForm]) {
      expect(submitted?.job.parts).toEqual(byBytes?.job.parts)
      expect(Buffer.from(submitted?.image ?? [])).toEqual(png)
    }
    expect(asked).toEqual(['/cat.png?size=1', '/dog.png'])
    const metrics = await (await fetch(`${api.url}/metrics`)).text()
    expect(metrics).toContain('vision_queue_image_fetches_total{outcome="fetched"} 2')
  })

  test.each(['', 'off'])('is refused where IMAGE_URLS is "%s", and nothing is fetched', async (setting) => {
    const { port, asked } = await startSite(givePng)
    const api = await startFetchingApi(port, { IMAGE_URLS: setting })
    const problem = await problemOf(await postAddress(api, `http://a.test:${port}/cat.png`))
    expect(problem).toMatchObject({ status: 400, code: 'invalid_request', errors: [{ field: 'input.image' }] })
    expect(problem.detail).toContain('addresses are not fetched')
    const form = new FormData()
    form.set('image', `http://a.test:${port}/dog.png`)
    form.set('question', question)
    const byForm = await problemOf(await fetch(`${api.url}/jobs`, { method: 'POST', body: form }))
    expect(byForm).toMatchObject({ status: 400, errors: [{ field: 'image' }] })
    expect(asked).toEqual([])
  })

  test('is not fetched for a submission that is refused anyway', async () => {
    const { port, asked } = await startSite(givePng)
    const api = await startFetchingApi(port)
    const image = `http://a.test:${port}/cat.png`
    expect((await postJson(api, { input: { image } })).status).toBe(422)
    expect((await postJson(api, { model: 'unknown', input: { image, question } })).status).toBe(404)
    expect(asked).toEqual([])
  })

  test.each<[string, Record<string, string>, (port: number) => string, string]>([
    ['http where only https is allowed', { IMAGE_URLS: 'https' }, (port) => `http://a.test:${port}/`, 'https://'],
    ['a password', {}, (port) => `http://a:b@a.test:${port}/`, 'user name'],
    ['another port', {}, () => 'http://a.test:6379/', 'ports'],
    ['a host that is not listed', { IMAGE_URL_HOSTS: '*.b.test' }, (port) => `http://a.test:${port}/`, 'a host'],
    ['no host', {}, () => 'http://', 'http://'],
  ])('with %s is refused with what was expected', async (_, env, address, expected) => {
    const { port, asked } = await startSite(givePng)
    const problem = await problemOf(await postAddress(await startFetchingApi(port, env), address(port)))
    expect(problem).toMatchObject({ status: 400, code: 'invalid_request', errors: [{ field: 'input.image' }] })
    expect(problem.detail).toContain(expected)
    expect(asked).toEqual([])
  })

  test('on a host of the list is taken', async () => {
    const { port } = await startSite(givePng)
    const api = await startFetchingApi(port, { IMAGE_URL_HOSTS: '*.b.test' })
    expect((await postAddress(api, `http://a.b.test:${port}/`)).status).toBe(202)
  })
})

describe('nothing of the inside is told:', () => {
  test('what may not be reached, what is not there and what hangs up are answered alike', async () => {
    const { port, asked } = await startSite((request, response) => {
      if (request.url === '/inside') response.writeHead(302, { Location: `http://10.0.0.1:${port}/` }).end()
      else request.socket.destroy()
    })
    const api = await startFetchingApi(port)
    const addresses = [
      `http://10.0.0.1:${port}/`,
      `http://169.254.169.254:${port}/latest/meta-data/`,
      `http://[::ffff:127.0.0.1]:${port}/`,
      `http://inside.test:${port}/`,
      `http://a.test:${port}/inside`,
      `http://a.test:${port}/hangs-up`,
    ]
    for (const address of addresses) {
      const problem = await problemOf(await postAddress(api, address))
      expect(problem).toMatchObject(unreachable)
      expect(Object.keys(problem).toSorted()).toEqual(['code', 'detail', 'request_id', 'status', 'title', 'type'])
    }
    expect(asked).toEqual(['/inside', '/hangs-up'])
    expect(api.jobs.submitted).toEqual([])
    expect(JSON.stringify(api.logged)).not.toContain('meta-data')
  })

  test('loopback and its other spellings are refused by default', async () => {
    const { port, asked } = await startSite(givePng)
    const api = await startApi({ IMAGE_URLS: 'http+https', IMAGE_URL_PORTS: String(port) })
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::1]', '[::ffff:7f00:1]', '0.0.0.0']) {
      expect(await problemOf(await postAddress(api, `http://${host}:${port}/`))).toMatchObject(unreachable)
    }
    expect(asked).toEqual([])
  })
})

describe('what an address gives', () => {
  test.each<[string, RequestListener, number, string]>([
    ['another status', (_, response) => response.writeHead(404).end(), 422, 'image_unreachable'],
    [
      'a page',
      (_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end(png),
      415,
      'unsupported_media_type',
    ],
    ['other bytes', (_, response) => response.end('secret=abc and so on'), 415, 'unsupported_media_type'],
    ['too much', (_, response) => response.end(Buffer.concat([png, Buffer.alloc(4096)])), 413, 'payload_too_large'],
    ['too many pixels', (_, response) => response.end(pngHeader(50_000, 50_000)), 422, 'image_too_large'],
  ])('is refused if it is %s, and not repeated', async (_, listener, status, code) => {
    const { port } = await startSite(listener)
    const problem = await problemOf(await postAddress(await startFetchingApi(port), `http://a.test:${port}/`))
    expect(problem).toMatchObject({ status, code })
    expect(JSON.stringify(problem)).not.toContain('secret')
  })

  test('is taken by its bytes where the store names no type', async () => {
    const { port } = await startSite((_, response) =>
      response.writeHead(200, { 'Content-Type': 'binary/octet-stream' }).end(png),
    )
    expect((await postAddress(await startFetchingApi(port), `http://a.test:${port}/`)).status).toBe(202)
  })
})

describe('slow hosts', () => {
  test('can take as many fetches as there may be, and no other submission', async () => {
    const { port, asked } = await startSite(() => {})
    const api = await startFetchingApi(port, { IMAGE_URL_FETCHES: '2', IMAGE_URL_TIMEOUT_MS: '60000' })
    const caller = new AbortController()
    const send = (): Promise<Response> =>
      fetch(`${api.url}/jobs`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ input: { image: `http://a.test:${port}/slow`, question } }),
        signal: caller.signal,
      })
    const waiting = Promise.allSettled([send(), send()])
    await expect.poll(() => asked.length).toBe(2)
    const refused = await postAddress(api, `http://a.test:${port}/`)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await problemOf(refused)).toMatchObject({ status: 429, code: 'fetches_full' })
    expect((await postAddress(api, png.toString('base64'))).status).toBe(202)
    // Callers who go away give their places back.
    caller.abort()
    await waiting
    await expect
      .poll(async () => (await (await fetch(`${api.url}/metrics`)).text()).includes('outcome="unreachable"} 2'))
      .toBe(true)
    const next = postAddress(api, `http://a.test:${port}/`)
    await expect.poll(() => asked.length).toBe(3)
    await api.stop(0)
    await Promise.allSettled([next])
  })

  test('are given up after the time that is set', async () => {
    const { port } = await startSite((_, response) =>
      response.writeHead(200, { 'Content-Type': 'image/png' }).write(png),
    )
    const api = await startFetchingApi(port, { IMAGE_URL_TIMEOUT_MS: '100' })
    expect(await problemOf(await postAddress(api, `http://a.test:${port}/`))).toMatchObject(unreachable)
  })
})

test.each([
  ['IMAGE_URLS', 'http'],
  ['IMAGE_URLS', 'on'],
  ['IMAGE_URL_HOSTS', '*'],
  ['IMAGE_URL_HOSTS', 'https://example.com'],
  ['IMAGE_URL_HOSTS', 'example.com:443'],
  ['IMAGE_URL_PORTS', '0'],
  ['IMAGE_URL_PORTS', '80;443'],
  ['IMAGE_URL_PORTS', '65536'],
])('the setting %s=%s is refused by name', (name, value) => {
  expect(() => parseSettings(apiSettings, { [name]: value })).toThrow(`${name}: expected`)
})
