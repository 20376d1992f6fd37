import { connect } from 'node:net'

/** What came back, its body decoded to text. */
export interface Answer {
  status: number
  /** By small name; the last one where a name came twice. */
  headers: ReadonlyMap<string, string>
  body: string
}

export interface RequestParts {
  method?: string
  target: string
  headers?: readonly (readonly [string, string])[]
  body?: Buffer | string
}

/**
 * A request as bytes, written out as it stands, for no HTTP client sends what an attacker does. It asks the server
 * to close afterwards, and says how long its body is unless a header says something about that.
 */
export function requestBytes({ method = 'POST', target, headers = [], body = '' }: RequestParts): Buffer {
  const content = Buffer.from(body)
  const names = new Set(headers.map(([name]) => name.toLowerCase()))
  const own: (readonly [string, string])[] = [
    ...(names.has('host') ? [] : [['Host', 'localhost'] as const]),
    ...(names.has('connection') ? [] : [['Connection', 'close'] as const]),
    ...(content.length === 0 || names.has('content-length') || names.has('transfer-encoding')
      ? []
      : [['Content-Length', String(content.length)] as const]),
  ]
  const lines = [...own, ...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`, 'latin1'), content])
}

/**
 * Sends bytes and resolves to the last answer that came before the server closed; null where it closed, or was
 * silent for `timeoutMs`, without one. `end` closes our side after sending, as a client that gives up does.
 */
export async function exchange(
  port: number,
  bytes: Uint8Array,
  { timeoutMs = 60_000, end = false }: { timeoutMs?: number; end?: boolean } = {},
): Promise<Answer | null> {
  const chunks: Buffer[] = []
  await new Promise<void>((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.setTimeout(timeoutMs, () => socket.destroy())
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    // A server that refuses a body resets the connection; what it said before counts.
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.write(bytes)
    if (end) socket.end()
  })
  return lastAnswer(Buffer.concat(chunks))
}

/** The last of the answers in a row; interim ones (1xx) are passed over. */
function lastAnswer(received: Buffer): Answer | null {
  let last: Answer | null = null
  for (let at = 0; at < received.length;) {
    const headEnd = received.indexOf('\r\n\r\n', at)
    if (headEnd === -1) break
    const [first = '', ...lines] = received.toString('latin1', at, headEnd).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(`${first} `)?.[1])
    if (Number.isNaN(status)) break
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      }),
    )
    const { body, next } = readContent(received, headEnd + 4, headers, status)
    if (status >= 200) last = { status, headers, body: body.toString('utf8') }
    at = next
  }
  return last
}

function readContent(
  received: Buffer,
  at: number,
  headers: ReadonlyMap<string, string>,
  status: number,
): { body: Buffer; next: number } {
  if (status < 200 || status === 204 || status === 304) return { body: Buffer.alloc(0), next: at }
  if (headers.get('transfer-encoding') === 'chunked') return readChunks(received, at)
  const length = headers.get('content-length')
  const end = length === undefined ? received.length : at + Number(length)
  return { body: received.subarray(at, end), next: end }
}

function readChunks(received: Buffer, start: number): { body: Buffer; next: number } {
  const parts: Buffer[] = []
  let at = start
  for (;;) {
    const lineEnd = received.indexOf('\r\n', at)
    const length = Number.parseInt(received.toString('latin1', at, lineEnd), 16)
    if (lineEnd === -1 || Number.isNaN(length)) return { body: Buffer.concat(parts), next: received.length }
    const from = lineEnd + 2
    parts.push(received.subarray(from, from + length))
    at = from + length + 2
    if (length === 0) return { body: Buffer.concat(parts), next: at }
  }
}
