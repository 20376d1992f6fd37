import { createSocket } from 'node:dgram'
import { once } from 'node:events'

import { expect, onTestFinished, test } from 'vitest'

import { createResolveName, type ResolveName } from './resolve-name.ts'

const a = 1
const aaaa = 28

/** A resolver that asks a server of the test's; `answer` gives the record's data, in hexadecimal, or nothing at all. */
async function startDns(
  answer: (name: string, type: number) => string | null,
): Promise<{ resolve: ResolveName; asked: string[] }> {
  const asked: string[] = []
  const server = createSocket('udp4')
  server.on('message', (query, from) => {
    // RFC 1035, section 4: a header of 12 bytes, the name in labels, its type and class.
    const end = query.indexOf(0, 12) + 1
    const labels: string[] = []
    for (let at = 12; at < end - 1; at += (query[at] ?? 0) + 1) {
      labels.push(query.toString('latin1', at + 1, at + 1 + (query[at] ?? 0)))
    }
    const type = query.readUInt16BE(end)
    asked.push(labels.join('.'))
    const data = answer(labels.join('.'), type)
    if (data === null) return
    const record = Buffer.from(`c00c${hex(type, 4)}0001${hex(60, 8)}${hex(data.length / 2, 4)}${data}`, 'hex')
    const header = Buffer.from(`${hex(query.readUInt16BE(0), 4)}818000010001${hex(0, 8)}`, 'hex')
    server.send(Buffer.concat([header, query.subarray(12, end + 4), record]), from.port, from.address)
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { resolve: createResolveName({ servers: [`127.0.0.1:${server.address().port}`] }), asked }
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

const { signal } = new AbortController()

test('a name gives its addresses of both kinds, and no search domain is tried', async () => {
  const { resolve, asked } = await startDns((_, type) => (type === a ? '5db8d70e' : `20014860${'0'.repeat(23)}1`))
  expect(await resolve('name.test', signal)).toEqual(['93.184.215.14', '2001:4860::1'])
  expect(new Set(asked)).toEqual(new Set(['name.test']))
})

test('a name gives the addresses of one kind where the other has none', async () => {
  const { resolve } = await startDns((_, type) => (type === a ? '5db8d70e' : ''))
  expect(await resolve('name.test', signal)).toEqual(['93.184.215.14'])
})

test('a name without addresses rejects', async () => {
  const { resolve } = await startDns((_, type) => (type === aaaa || type === a ? '' : null))
  await expect(resolve('name.test', signal)).rejects.toThrow('no address')
})

test('a server that says nothing is given up with the signal', async () => {
  const { resolve, asked } = await startDns(() => null)
  const caller = new AbortController()
  const resolving = resolve('name.test', caller.signal)
  await expect.poll(() => asked.length).toBeGreaterThan(0)
  caller.abort()
  await expect(resolving).rejects.toThrow('no address')
})
