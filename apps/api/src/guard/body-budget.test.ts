import type { VisionQueueError } from '@vision-queue/protocol'
import { describe, expect, onTestFinished, test } from 'vitest'

import { png } from '../test-support/images.ts'
import { connectRaw, type RawConnection } from '../test-support/raw-http.ts'
import { postJson, startApi, type TestApi } from '../test-support/start-api.ts'
import { createBodyBudget } from './body-budget.ts'

const mebibyte = 1024 * 1024
const never = (error: VisionQueueError): void => {
  throw error
}

describe('the budget of arriving bodies', () => {
  test('counts what has arrived, not what was announced', () => {
    const budget = createBodyBudget({ maxBytes: 10 * mebibyte, maxBodyBytes: 4 * mebibyte })
    for (let body = 0; body < 1000; body += 1) budget.begin(4 * mebibyte, never).add(10)
    expect(budget.held()).toBe(10_000)
  })

  test('a body that does not fit beside what has arrived does not begin, and small ones still do', () => {
    const budget = createBodyBudget({ maxBytes: 10 * mebibyte, maxBodyBytes: 4 * mebibyte })
    const bodies = [budget.begin(4 * mebibyte, never), budget.begin(null, never)]
    for (const body of bodies) body.add(3 * mebibyte)
    expect(() => budget.begin(2 * mebibyte, never)).toThrow('overloaded')
    const small = budget.begin(mebibyte, never)
    small.add(mebibyte)
    small.end()
    bodies[0]?.end()
    bodies[0]?.end()
    expect(budget.held()).toBe(3 * mebibyte)
    expect(() => budget.begin(2 * mebibyte, never)).not.toThrow()
  })

  test('bodies that began together and do not fit together: the one that comes last gives way', () => {
    const budget = createBodyBudget({ maxBytes: 8 * mebibyte, maxBodyBytes: 4 * mebibyte })
    const [first, second] = [budget.begin(4 * mebibyte, never), budget.begin(4 * mebibyte, never)]
    first.add(4 * mebibyte)
    second.add(2 * mebibyte)
    expect(() => second.add(1)).toThrow('overloaded')
    second.end()
    expect(budget.held()).toBe(4 * mebibyte)
  })

  test('the body that has stood still for longest gives way to one that comes', async () => {
    const budget = createBodyBudget({ maxBytes: 12 * mebibyte, maxBodyBytes: 4 * mebibyte, stillMs: 20 })
    const ended: string[] = []
    const begin = (name: string): ReturnType<typeof budget.begin> => {
      const body = budget.begin(4 * mebibyte, ({ code }) => {
        ended.push(`${name}: ${code}`)
        body.end()
      })
      return body
    }
    begin('idle')
    begin('first').add(3 * mebibyte)
    const moving = begin('moving')
    moving.add(2 * mebibyte)
    await new Promise((resolve) => setTimeout(resolve, 40))
    moving.add(mebibyte)
    begin('new').add(mebibyte)
    expect(ended).toEqual(['first: request_timeout'])
  })

  test('one body always fits where no other is', () => {
    const budget = createBodyBudget({ maxBytes: 1, maxBodyBytes: 4 * mebibyte })
    budget.begin(4 * mebibyte, never).add(4 * mebibyte)
    expect(budget.held()).toBe(4 * mebibyte)
  })

  test('by default it is some part of the memory there is', () => {
    const budget = createBodyBudget({ maxBytes: 0, maxBodyBytes: 1024 })
    expect(() => budget.begin(2 ** 40, never)).toThrow('overloaded')
    budget.begin(null, never).add(16 * mebibyte)
  })
})

const bodyBytes = 2 * mebibyte
const head = `POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: ${bodyBytes}\r\n`

/** Sends all of a body but its last bytes. */
async function stall(api: TestApi): Promise<RawConnection> {
  const connection = await connectRaw(api.port)
  connection.socket.write(Buffer.concat([Buffer.from(`${head}\r\n`), Buffer.alloc(bodyBytes - 100)]))
  return connection
}

describe('uploads that stall', () => {
  const settings = { MAX_BODY_BYTES: String(bodyBytes), MAX_BODY_BYTES_IN_FLIGHT: String(8 * mebibyte) }

  test('leave no room for another large one: 503 with Retry-After before it is read, and small ones are served', async () => {
    const api = await startApi(settings)
    const stalled = await Promise.all(Array.from({ length: 3 }, async () => stall(api)))
    // They are not still: a byte comes now and then.
    const drip = setInterval(() => {
      for (const { socket } of stalled) if (socket.writable) socket.write('x')
    }, 100)
    onTestFinished(() => clearInterval(drip))
    /** The answer to a client that asks before it sends. */
    const ask = async (): Promise<string> => {
      const connection = await connectRaw(api.port)
      connection.socket.write(`${head}Expect: 100-continue\r\n\r\n`)
      const answer = await Promise.race([connection.until('100 Continue'), connection.until('"overloaded"')])
      connection.socket.destroy()
      return answer
    }
    await expect.poll(ask, { timeout: 10_000 }).toMatch(/^HTTP\/1\.1 503 [^]*\r\nretry-after: 1\r\n/i)
    const asked = { input: { image: png.toString('base64'), question: '?' } }
    expect((await postJson(api, asked)).status).toBe(202)
  })

  test('give way after a second to one that comes', async () => {
    const api = await startApi(settings)
    const stalled = await Promise.all(Array.from({ length: 3 }, async () => stall(api)))
    const post = async (): Promise<Response> =>
      fetch(`${api.url}/jobs?question=q`, {
        method: 'POST',
        body: Buffer.concat([png, Buffer.alloc(bodyBytes - 1000)]),
      })
    const endedEarly = async (): Promise<number> => {
      // Refused while it is sent, where none has been still for long enough.
      await post().then(async (response) => response.text(), String)
      return stalled.filter((connection) => / 408 [^]*"request_timeout"/.test(connection.received())).length
    }
    await expect.poll(endedEarly, { timeout: 20_000 }).toBe(1)
    expect((await post()).status).toBe(202)
  })
})
