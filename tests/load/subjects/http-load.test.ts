import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { until } from '@vision-queue/test-support/until'

import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

import { openEcho } from './echo.ts'
import { type HttpLoad, openHttpSubject } from './http-load.ts'
import type { Subject } from './subject.ts'
import { readProcessTable } from '../processes.ts'

let folder = ''
let file = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'http-load-'))
  file = join(folder, 'body')
  await writeFile(file, 'body ')
})
afterAll(async () => rm(folder, { recursive: true }))

const post = (): HttpLoad['requests'][number] => ({ method: 'POST', path: '/jobs', headers: ['x-kind: a'], file })

async function load(answer: RequestListener, more: Partial<HttpLoad> = {}): Promise<Subject> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const url = `http://127.0.0.1:${port}`
  const subject = await openHttpSubject(
    { name: 'a', url, parts: () => [] },
    { requests: [post()], clients: 3, ...more },
  )
  onTestFinished(async () => {
    await subject.stop()
    server.closeAllConnections()
    server.close()
  })
  return subject
}

test('every body is another one, and nothing is under way after the pause', async () => {
  const bodies: string[] = []
  let open = 0
  const subject = await load((request, response) => {
    open += 1
    let body = ''
    request.on('data', (chunk) => {
      body += String(chunk)
    })
    request.on('end', () => {
      bodies.push(body)
      open -= 1
      response.end('{}')
    })
  })
  await subject.go()
  await until(() => bodies.length > 50, 'requests come')
  await subject.pause()
  const sent = bodies.length
  expect(open).toBe(0)
  expect(new Set(bodies).size).toBe(sent)
  for (const body of bodies) expect(body).toMatch(/^body .{16}$/)

  // Servers close connections that are idle; the next window has its own.
  await subject.go()
  await until(() => bodies.length > sent, 'requests come again')
  await subject.pause()
  expect((await subject.tally()).failures).toBe(0)
})

test('requests take turns as they are where they may repeat', async () => {
  const seen: string[] = []
  const requests = [post(), { method: 'GET' as const, path: '/jobs?limit=50', headers: [], file: null }]
  const subject = await load(
    (request, response) => {
      seen.push(`${request.method} ${request.url} ${String(request.headers['x-kind'] ?? '-')}`)
      request.resume().on('end', () => response.end('{}'))
    },
    { requests, unique: false, clients: 1 },
  )
  await subject.go()
  await until(() => seen.length >= 4, 'requests come')
  await subject.pause()
  expect(seen.slice(0, 4)).toEqual(['POST /jobs a', 'GET /jobs?limit=50 -', 'POST /jobs a', 'GET /jobs?limit=50 -'])
})

test('refusals, answers without what they should hold and broken connections are failures and no jobs', async () => {
  let seen = 0
  const subject = await load(
    (request, response) => {
      seen += 1
      if (seen % 4 === 0) request.socket.destroy()
      request.resume().on('end', () => {
        response.statusCode = seen % 4 === 1 ? 503 : 200
        response.end(seen % 4 === 2 ? 'queued' : 'succeeded')
      })
    },
    { clients: 1, holds: 'succeeded' },
  )
  await subject.go()
  await until(() => seen >= 12, 'requests come')
  const { jobs, failures, failure } = await subject.tally()
  await subject.pause()
  expect(failure).toMatch(/^503 succeeded/)
  expect(jobs).toBeGreaterThanOrEqual(2)
  // Of each four requests three fail.
  expect(failures).toBeGreaterThanOrEqual(2 * jobs)
})

test('an answer’s own times are taken off its latency', async () => {
  const times = { queue_ms: 0, preprocess_ms: 3, inference_ms: 4, batch_size: 1, total_ms: 7 }
  const subject = await load(
    (request, response) => request.resume().on('end', () => response.end(JSON.stringify({ metrics: times }))),
    { readTimes: true, clients: 1 },
  )
  await subject.go()
  await until(async () => {
    const { p50Ms, beyondP50Ms } = await subject.tally()
    if (p50Ms === null || beyondP50Ms === null) return false
    expect(p50Ms - beyondP50Ms).toBeCloseTo(7, 6)
    return true
  }, 'an answer is there')
  await subject.pause()
})

test('the echo answers what is sent, in a process that is told apart from its clients', async () => {
  const echo = await openEcho({ requests: [post()], clients: 2, holds: '"succeeded"' })
  onTestFinished(async () => echo.stop())
  await echo.go()
  await until(async () => (await echo.tally()).jobs > 0, 'it answers')
  expect((await echo.tally()).failures).toBe(0)
  await echo.pause()
  const parts = echo.parts(readProcessTable())
  expect(parts.map(({ part }) => part)).toEqual(['echo', 'clients'])
  expect(new Set(parts.map(({ pid }) => pid)).size).toBe(2)
})
