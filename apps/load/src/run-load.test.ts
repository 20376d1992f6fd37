import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'

import { afterEach, beforeEach, expect, test } from 'vitest'

import type { LoadPlan } from './load-plan.ts'
import { runLoad } from './run-load.ts'
import { isSuccess, latencyMs, summarise } from './summary.ts'

let folder = ''
let server: Server
let seen: { url: string | undefined; headers: IncomingMessage['headers']; body: string }[] = []
/** Resolves when the server may answer. */
let gate: () => Promise<void> = async () => {}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vq-load-'))
  await writeFile(join(folder, 'one.jpg'), 'picture one')
  seen = []
  gate = async () => {}
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request)
    seen.push({ url: request.url, headers: request.headers, body: body.toString('latin1') })
    await gate()
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ status: 'succeeded', cached: false, metrics: null, error: null }))
  }
  server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true })
})

function planOf(change: Partial<LoadPlan>): LoadPlan {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server does not listen')
  const file = join(folder, 'one.jpg')
  return {
    url: `http://127.0.0.1:${address.port}/behind/a/proxy`,
    apiKey: 'secret',
    pace: { kind: 'clients', clients: 2, thinkMs: null },
    warmUpMs: 50,
    durationMs: 200,
    waitSeconds: 10,
    requests: [{ label: 'load', file, contentType: 'image/jpeg', query: { question: 'What is it?' } }],
    uniquePictures: true,
    ...change,
  }
}

test('a request is a raw picture with its inputs in the query, the key and the wish to wait', async () => {
  await runLoad(planOf({ uniquePictures: false }))

  expect(seen[0]).toMatchObject({ url: '/behind/a/proxy/jobs?question=What+is+it%3F', body: 'picture one' })
  expect(seen[0]?.headers).toMatchObject({
    authorization: 'Bearer secret',
    'content-type': 'image/jpeg',
    prefer: 'wait=10',
  })
})

test('no two pictures are the same, and each begins as its file does', async () => {
  const { samples } = await runLoad(planOf({}))

  expect(samples.length).toBeGreaterThan(2)
  expect(new Set(seen.map(({ body }) => body)).size).toBe(seen.length)
  expect(seen.every(({ body }) => body.startsWith('picture one'))).toBe(true)
})

test('a server that stands still is charged for all that was due meanwhile', async () => {
  const still = new Promise((resolve) => {
    setTimeout(resolve, 350)
  })
  gate = async () => {
    await still
  }
  const pace = { kind: 'rate', perSecond: 100, arrivals: 'even' } as const
  const run = await runLoad(planOf({ pace, warmUpMs: 0, durationMs: 250 }))

  // A closed loop would have sent one and called the rest fast.
  const latencies = run.samples.filter(isSuccess).map(latencyMs)
  expect(latencies.length).toBeGreaterThanOrEqual(20)
  expect(Math.max(...latencies)).toBeGreaterThan(300)
  expect(latencies.filter((latency) => latency > 90).length).toBe(latencies.length)
})

test('a server that goes away becomes errors, not the end of the load', async () => {
  gate = async () => {
    server.closeAllConnections()
    server.close()
  }
  const summary = summarise(await runLoad(planOf({ warmUpMs: 0 })))

  expect(summary.errors).toBeGreaterThan(0)
  expect(summary.succeeded).toBe(0)
})

test('it can be stopped early and still tells what was measured', async () => {
  const stopping = new AbortController()
  const running = runLoad(planOf({ warmUpMs: 0, durationMs: 60_000 }), {
    signal: stopping.signal,
    onSample: () => stopping.abort(),
  })
  const { durationMs, samples } = await running

  expect(durationMs).toBeLessThan(30_000)
  expect(samples.length).toBeGreaterThan(0)
})
