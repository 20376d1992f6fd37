import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

import { parseSettings, SettingsError } from '@vision-queue/process'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'

import { apiSettings } from './config.ts'
import { png } from './test-support/images.ts'
import { startApi } from './test-support/start-api.ts'

/** A reverse proxy that serves the API below `/vq/` and takes that off the front; everything else is its own 404. */
async function startProxy(port: number): Promise<string> {
  const proxy = createServer((incoming, outgoing) => {
    const { method, headers, url = '' } = incoming
    if (!url.startsWith('/vq/')) {
      outgoing.writeHead(404).end('not below /vq/')
      return
    }
    const onward = request({ host: '127.0.0.1', port, method, headers, path: url.slice('/vq'.length) }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return `http://127.0.0.1:${z.custom<AddressInfo>((value) => typeof value === 'object').parse(proxy.address()).port}`
}

describe('the page, behind a proxy that takes /vq off the front', () => {
  test.each(['/vq/docs', '/vq/docs/'])('at %s finds its files and the document below /vq', async (path) => {
    const api = await startApi()
    const address = (await startProxy(api.port)) + path
    const page = await (await fetch(address)).text()
    const files = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => new URL(file ?? '', address).href)
    expect(files).toHaveLength(4)
    for (const file of files) expect([file, (await fetch(file)).status]).toEqual([file, 200])
    const start = files.find((file) => file.endsWith('start.js')) ?? ''
    const [, relative = ''] =
      /new URL\('([^']+)', document\.currentScript\.src\)/.exec(await (await fetch(start)).text()) ?? []
    const document = new URL(relative, start)
    expect(document.pathname).toBe('/vq/openapi.json')
    const { servers } = z
      .object({ servers: z.tuple([z.object({ url: z.string() })]) })
      .parse(await (await fetch(document)).json())
    expect(new URL(servers[0].url, document).pathname).toBe('/vq/')
  })
})

describe('PUBLIC_URL', () => {
  test.each(['https://example.com/vq', 'https://example.com/vq/'])('%s begins every address', async (publicUrl) => {
    const api = await startApi({ PUBLIC_URL: publicUrl })
    const url = `${await startProxy(api.port)}/vq`
    const answer = await fetch(`${url}/jobs?question=why`, {
      method: 'POST',
      headers: { 'Content-Type': 'image/png' },
      body: Uint8Array.from(png),
    })
    const job = z.object({ id: z.string(), urls: z.record(z.string(), z.string()) }).parse(await answer.json())
    const self = `https://example.com/vq/jobs/${job.id}`
    expect(answer.headers.get('location')).toBe(self)
    expect(job.urls).toEqual({ self, events: `${self}/events`, cancel: `${self}/cancel` })
    const read: unknown = await (await fetch(`${url}/jobs/${job.id}`)).json()
    const listed: unknown = await (await fetch(`${url}/jobs`)).json()
    expect(read).toMatchObject({ urls: { self } })
    expect(listed).toMatchObject({ jobs: [{ urls: { self } }] })
    api.jobs.finish(job.id, 'failed')
    expect(await (await fetch(`${url}/jobs/${job.id}/events`)).text()).toContain(`"self":"${self}"`)
    const again = await fetch(`${url}/jobs/${job.id}/retry`, { method: 'POST' })
    expect(again.headers.get('location')).toMatch(/^https:\/\/example\.com\/vq\/jobs\/job_/)
    const uploaded = await fetch(`${url}/images`, {
      method: 'POST',
      headers: { 'Content-Type': 'image/png' },
      body: Uint8Array.from(png),
    })
    expect(uploaded.headers.get('location')).toMatch(/^https:\/\/example\.com\/vq\/images\/img_/)
    const document: unknown = await (await fetch(`${url}/openapi.json`)).json()
    expect(document).toMatchObject({ servers: [{ url: 'https://example.com/vq' }] })
  })

  test.each([
    'example.com/vq',
    '/vq',
    'ftp://example.com',
    'https://user@example.com',
    'https://example.com/?a',
    'a b',
  ])('%j is none', (publicUrl) => {
    expect(() => parseSettings(apiSettings, { PUBLIC_URL: publicUrl })).toThrow(SettingsError)
  })

  test('is not taken from a request: forwarded headers change no address', async () => {
    const api = await startApi()
    const answer = await fetch(`${api.url}/jobs?question=why`, {
      method: 'POST',
      headers: {
        'Content-Type': 'image/png',
        'X-Forwarded-Host': 'evil.example',
        'X-Forwarded-Prefix': '/evil',
        'X-Forwarded-Proto': 'https',
        Forwarded: 'host=evil.example;proto=https',
      },
      body: Uint8Array.from(png),
    })
    expect(answer.headers.get('location')).toMatch(/^\/jobs\/job_/)
  })
})

describe('a slash at the end of an address changes nothing', () => {
  test('for GET, HEAD and OPTIONS of every route without a parameter', async () => {
    const api = await startApi()
    const paths = new Set(api.app.routes.map(({ path }) => path).filter((path) => !/[:*]/.test(path) && path !== '/'))
    expect(paths.size).toBe(12)
    for (const path of paths) {
      for (const method of ['GET', 'HEAD', 'OPTIONS']) {
        const [plain, slashed] = await Promise.all(
          [path, `${path}/`].map(async (address) => fetch(api.url + address, { method, redirect: 'manual' })),
        )
        expect([method, path, slashed?.status]).toEqual([method, path, plain?.status])
        expect(slashed?.headers.get('content-type')).toBe(plain?.headers.get('content-type'))
      }
    }
  })

  test('for a submission, its job and an upload', async () => {
    const api = await startApi()
    const body = JSON.stringify({ input: { image: png.toString('base64'), question: 'why' } })
    const json = { 'Content-Type': 'application/json' }
    const accepted = await fetch(`${api.url}/jobs/`, { method: 'POST', headers: json, body, redirect: 'error' })
    const { id } = z.object({ id: z.string() }).parse(await accepted.json())
    expect([accepted.status, api.jobs.submitted.length]).toEqual([202, 1])
    expect((await fetch(`${api.url}/jobs/${id}/?wait=0`)).status).toBe(200)
    expect((await fetch(`${api.url}/models/shapes-vqa/`)).status).toBe(200)
    expect((await fetch(`${api.url}/jobs/${id}/cancel/`, { method: 'POST' })).status).toBe(200)
    const raw = await fetch(`${api.url}/images/`, {
      method: 'POST',
      headers: { 'Content-Type': 'image/png' },
      body: Uint8Array.from(png),
    })
    expect(raw.status).toBe(201)
    expect((await fetch(`${api.url}/jobs/`, { method: 'PUT' })).status).toBe(405)
  })
})

test('HEAD is what GET is, without the body, on every route', async () => {
  const api = await startApi()
  const paths = new Set(
    api.app.routes.filter(({ method, path }) => method === 'GET' && !/[:*]/.test(path)).map(({ path }) => path),
  )
  for (const path of paths) {
    const get = await fetch(api.url + path)
    const head = await fetch(api.url + path, { method: 'HEAD' })
    expect([path, head.status, await head.text()]).toEqual([path, get.status, ''])
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'))
  }
})
