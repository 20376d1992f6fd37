import { expect, test } from 'vitest'

import { png } from './test-support/images.ts'
import { connectRaw } from './test-support/raw-http.ts'
import { startApi } from './test-support/start-api.ts'

test('close stops listening at once and lets a running request finish', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  const body = JSON.stringify({ input: { image: png.toString('base64'), question: '?' } })
  const head = `POST /jobs HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`
  connection.socket.write(`${head}\r\n\r\n${body.slice(0, 20)}`)
  await fetch(`${api.url}/health`)
  const stopped = api.stop()
  await expect
    .poll(() =>
      fetch(`${api.url}/health`).then(
        () => 'answered',
        () => 'refused',
      ),
    )
    .toBe('refused')
  connection.socket.write(body.slice(20))
  expect(await connection.until('"status":"queued"')).toMatch(/^HTTP\/1\.1 202 /)
  await stopped
})

// Waiting for the limit instead of closing would run into the test's own.
const longerThanATest = 600_000

test('close ends while a client keeps its connection idle', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  connection.socket.write('GET /health HTTP/1.1\r\nHost: test\r\n\r\n')
  await connection.until('{"status":"ok"}')
  await api.stop(longerThanATest)
  await expect(connection.closed).resolves.toBeUndefined()
})

test('close ends while a client has connected and asked nothing yet', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  await fetch(`${api.url}/health`)
  await api.stop(longerThanATest)
  await expect(connection.closed).resolves.toBeUndefined()
})

test('close cuts a request that never finishes', async () => {
  const api = await startApi()
  const connection = await connectRaw(api.port)
  connection.socket.write(
    'POST /jobs HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n',
  )
  await fetch(`${api.url}/health`)
  await api.stop(100)
  await expect(connection.closed).resolves.toBeUndefined()
  expect(connection.received()).toBe('')
})
