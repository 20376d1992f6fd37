import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

import { afterEach, expect, it } from 'vitest'

import { runClosedLoop } from './closed-loop-process.ts'

let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** A contender that answers as it likes; the image is given whole. */
async function serve(
  answer: (image: Buffer, response: ServerResponse, request: IncomingMessage) => void,
): Promise<string> {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => answer(Buffer.concat(chunks), response, request))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  return `http://127.0.0.1:${address.port}/jobs?model=any`
}

function succeed(response: ServerResponse, answer: string): void {
  response.end(JSON.stringify({ id: '1', status: 'succeeded', output: { answers: [{ answer, score: 1 }] } }))
}

it('every request brings another image and question, and right answers count', async () => {
  const images = new Set<string>()
  const questions = new Set<string>()
  const url = await serve((image, response, request) => {
    images.add(createHash('sha256').update(image).digest('hex'))
    questions.add(request.url ?? '')
    succeed(response, `${image.byteLength} bytes`)
  })
  const report = await runClosedLoop({ url, clients: 4, seconds: 20, maxJobs: 40 })
  expect(report.errors).toBe(0)
  expect(report.latenciesMs.length).toBeGreaterThanOrEqual(40)
  expect(images.size).toBe(report.latenciesMs.length)
  expect(questions.size).toBe(report.latenciesMs.length)
})

it('wrong answers, refusals, unfinished jobs and broken connections are errors and no jobs', async () => {
  let count = 0
  const url = await serve((image, response) => {
    count += 1
    if (count === 1) succeed(response, `${image.byteLength - 1} bytes`)
    else if (count === 2) response.writeHead(500).end('broken')
    else if (count === 3) response.writeHead(202).end('{"id":"1","status":"queued"}')
    else if (count === 4) response.destroy()
    else succeed(response, `${image.byteLength} bytes`)
  })
  const report = await runClosedLoop({ url, clients: 1, seconds: 20, maxJobs: 3 })
  expect(report.errors).toBe(4)
  expect(report.firstError).toContain('the answer is')
  expect(report.latenciesMs).toHaveLength(3)
})
