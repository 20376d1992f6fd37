import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { openChatSubject } from './chat-load.ts'
import type { Subject } from './subject.ts'

let folder: string
let server: Server | undefined
let subject: Subject | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chat-load-'))
  await writeFile(join(folder, 'picture.jpg'), 'a picture')
})
afterEach(async () => {
  await subject?.stop()
  server?.closeAllConnections()
  server?.close()
  await rm(folder, { recursive: true })
})

/** Clients of a server that answers as it is told to. */
async function open(clients: number, answer: (body: string, response: ServerResponse) => void): Promise<Subject> {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => answer(Buffer.concat(chunks).toString(), response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const questions = [{ file: join(folder, 'picture.jpg'), type: 'image/jpeg', prompt: 'What is it?' }]
  const url = `http://127.0.0.1:${address.port}`
  subject = await openChatSubject({ name: 'fake', url, parts: () => [] }, { model: 'm', clients, questions })
  return subject
}

const text = (content: string): string => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`
const end = `data: ${JSON.stringify({ choices: [], usage: { completion_tokens: 7 } })}\n\ndata: [DONE]\n\n`

async function untilAnswered(of: Subject) {
  for (;;) {
    const tally = await of.tally()
    if (tally.jobs > 0) return tally
    await sleep(10)
  }
}

test('tokens are those of the usage, the first text is timed before the end, and no two images are the same', async () => {
  const images = new Set<string>()
  let requests = 0
  const chats = await open(2, (body, response) => {
    requests += 1
    images.add(createHash('sha256').update(body).digest('hex'))
    // An event may come in pieces, and the first chunk has no text.
    response.write(text(''))
    response.write(text('A pic').slice(0, 9))
    response.write(text('A pic').slice(9))
    setTimeout(() => response.end(text('ture.') + end), 50)
  })
  await chats.go()
  const { jobs, failures, generated, p50Ms } = await untilAnswered(chats)
  await chats.pause()
  expect([failures, generated?.tokens, generated?.firstTextMs.length]).toEqual([0, 7 * jobs, jobs])
  expect(Math.min(...(generated?.firstTextMs ?? []))).toBeLessThan(p50Ms ?? 0)
  expect(images.size).toBe(requests)
})

test('an error in the stream, a stream without an answer and another status are failures and no jobs', async () => {
  const answers = [
    (response: ServerResponse) => response.end('data: {"error":{"message":"no"}}\n\n'),
    (response: ServerResponse) => response.end('data: [DONE]\n\n'),
    (response: ServerResponse) => response.writeHead(503).end('away'),
  ]
  const seen = { requests: 0 }
  const chats = await open(1, (_body, response) => {
    answers[seen.requests % 3]?.(response)
    seen.requests += 1
  })
  await chats.go()
  const told = { failures: 0, all: '' }
  while (told.failures < 3) {
    // Each tally begins anew.
    const { jobs, failures, failure } = await chats.tally()
    expect(jobs).toBe(0)
    told.failures += failures
    told.all += failure ?? ''
    await sleep(5)
  }
  await chats.pause()
  expect(told.all).toContain('no')
})

test('a pause gives up what is under way, which counts as nothing', async () => {
  const asked: ServerResponse[] = []
  const seen = { gone: 0 }
  const chats = await open(3, (_body, response) => {
    asked.push(response)
    response.once('close', () => (seen.gone += 1))
    response.write(text('A'))
  })
  await chats.go()
  while (asked.length < 3) await sleep(5)
  await chats.pause()
  const { jobs, failures } = await chats.tally()
  expect([jobs, failures]).toEqual([0, 0])
  while (seen.gone < 3) await sleep(5)
})
