import { requestBytes } from './http-message.ts'
import { oddTexts } from './odd-text.ts'
import type { Random } from './random.ts'

const routes = [
  '/',
  '/jobs',
  '/jobs/{}',
  '/jobs/{}/events',
  '/jobs/{}/cancel',
  '/jobs/{}/retry',
  '/jobs/batch',
  '/images',
  '/images/{}',
  '/models',
  '/models/{}',
  '/models/{}/load',
  '/models/{}/unload',
  '/models/{}/reload',
  '/health',
  '/health/live',
  '/health/ready',
  '/metrics',
  '/openapi.json',
  '/docs/{}',
  '/ws',
  '/{}',
] as const
const methods = [
  'GET',
  'GET',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'QUERY',
] as const

/** What stands in a path where an id or a name belongs: traversals, encodings, other keys, ids that nearly are one. */
const names = [
  'job_V1StGXR8Z5jdHi6BmyTab',
  'job_V1StGXR8Z5jdHi6BmyTa',
  'job_%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A%3A',
  'job_*',
  `img_${'0'.repeat(64)}`,
  `img_${'0'.repeat(63)}`,
  'shapes-vqa',
  'shapes-vqa@1',
  'shapes-vqa%00',
  'shapes-vqa%0d%0aX-Injected:%20yes',
  '..%2f..%2f..%2fetc%2fpasswd',
  '../../../../etc/passwd',
  '..%5c..%5cwindows',
  '%2e%2e/%2e%2e/package.json',
  '%c0%ae%c0%ae/',
  '%',
  '%zz',
  '%f0%28%8c%28',
  '%u002e',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'swagger-ui.css',
  'index.html',
  '{shapes-vqa}:admitted',
  '*',
  '?',
  '#',
  ';',
  '//',
  '.',
  'a'.repeat(4000),
  '%41'.repeat(1500),
] as const

const queries = [
  '',
  '',
  '?',
  '?wait=1',
  '?wait=-1',
  '?wait=61',
  '?wait=1e3',
  '?wait=0&wait=1',
  '?wait[]=1',
  '?__proto__=1',
  '?__proto__[a]=1&constructor=2',
  '?model=shapes-vqa&model=shapes-vqa',
  '?%00=%00',
  '?%ff=%fe',
  `?${'a=b&'.repeat(2000)}`,
  '?a=%',
  '?status=queued&limit=1e999&cursor=../..',
] as const

/** Headers that mean something to a server, or to a proxy in front of it, with what they should not hold. */
const headers: readonly (readonly [string, string])[] = [
  ['X-Request-Id', 'a'.repeat(5000)],
  ['X-Request-Id', 'ok-id'],
  ['X-Request-Id', '{"level":60}\\r\\n{"fake":"line"}'],
  ['X-Request-Id', '\u001b[2J\u0085\u00a0'],
  ['Prefer', 'wait=999999999999'],
  ['Prefer', 'wait=-1, wait=abc, respond-async'],
  ['Prefer', `wait${' '.repeat(8000)}x`],
  ['Expect', '100-continue'],
  ['Expect', '200-ok'],
  ['Host', ''],
  ['Host', 'a b'],
  ['Host', 'localhost:99999'],
  ['Host', '[::1'],
  ['Host', 'evil.example/..'],
  ['Authorization', 'Bearer'],
  ['Authorization', `Bearer ${'x'.repeat(8000)}`],
  ['Content-Type', 'application/json; charset=utf-16'],
  ['Content-Type', 'image/svg+xml'],
  ['Content-Type', 'text/plain'],
  ['Content-Type', `multipart/form-data; boundary=${'x'.repeat(8000)}`],
  ['Content-Type', 'application/JSON;;;='],
  ['Content-Encoding', 'gzip'],
  ['Last-Event-ID', '3'],
  ['Last-Event-ID', '999\u00ff'],
  ['Upgrade', 'websocket'],
  ['Upgrade', 'h2c'],
  ['Accept', '*/*;q=nan'],
  ['Range', 'bytes=0-,-1'],
  ['If-None-Match', '*'],
  ['X-Forwarded-For', '127.0.0.1'],
  ['X-HTTP-Method-Override', 'DELETE'],
  ['traceparent', '00-zz-zz-01'],
  ['Cookie', 'a=b; '.repeat(1000)],
  ['Content-Length', '5'],
  ['Transfer-Encoding', 'chunked'],
]

/** Any route with any method, id, query, headers and a little body. */
export function oddRequest(random: Random): { how: string; bytes: Buffer } {
  const method = random.pick(methods)
  const name = random.chance(0.8)
    ? random.pick(names)
    : encodeURI(random.pick(oddTexts.filter(isWellFormed))).slice(0, 4000)
  const target = random.pick(routes).replace('{}', () => name) + random.pick(queries)
  const sent = Array.from({ length: random.int(0, 4) }, () => random.pick(headers))
  const body = random.chance(0.3)
    ? random.pick(['{}', '[]', 'null', '{"version":"../1"}', '\0', '0\r\n\r\n', '5\r\nhello\r\n0\r\n\r\n'])
    : ''
  const how = `${method} ${target.slice(0, 80)} ${sent.map(([header, value]) => `${header}: ${value.slice(0, 30)}`).join(' | ')}`
  return { how, bytes: requestBytes({ method, target, headers: sent, body }) }
}

function isWellFormed(text: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text)
}

/** Bytes that are hardly HTTP: two lengths, a length and chunks, bare line feeds, no version, control characters. */
export function brokenHttp(random: Random): { how: string; bytes: Buffer } {
  const smuggled = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const requests = [
    `POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\n{}\r\n${smuggled}`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n{}`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 0x2\r\n\r\n{}`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n`,
    `POST /jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
    'GET /health HTTP/1.1\nHost: a\nConnection: close\n\n',
    'GET /health HTTP/1.1\r\n\r\n',
    'GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n',
    'GET /health HTTP/1.0\r\n\r\n',
    'GET /health HTTP/9.9\r\nHost: a\r\n\r\n',
    'GET /health\r\n\r\n',
    'GET http://169.254.169.254/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'GET //evil.example/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'CONNECT 127.0.0.1:6379 HTTP/1.1\r\nHost: a\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '*1\r\n$8\r\nFLUSHALL\r\n',
    '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
    `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\n${'X: a\r\n'.repeat(3000)}Connection: close\r\n\r\n`,
    'GET / HTTP/1.1\r\nHost: a\r\nX-Y: a\r\n folded\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nX\u0000Y: a\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n',
    'G\u0000T / HTTP/1.1\r\nHost: a\r\n\r\n',
    '\r\n\r\n\r\n',
  ]
  const request = random.pick(requests)
  const bytes = Buffer.from(request, 'latin1')
  if (random.chance(0.7)) return { how: request.slice(0, 100), bytes }
  const at = random.int(0, Math.min(200, bytes.length - 1))
  bytes[at] = random.int(0, 255)
  return { how: `${request.slice(0, 100)}, byte ${at} ${bytes[at]}`, bytes }
}
