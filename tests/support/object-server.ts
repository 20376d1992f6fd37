import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

import { isSigned } from './s3/signature.ts'

/**
 * A server that speaks as much of S3 as we use, for tests, with its objects in memory: PUT, GET with a range, HEAD,
 * list and removal of many. Stricter than most: every request has to be signed (403), a checksum that is sent has to be
 * right (400), `If-None-Match: *` is kept to (412).
 */
export interface ObjectServer {
  url: string
  bucket: string
  /** A BLOB_STORE for it. */
  blobStore: string
  /** What a process needs to be let in. */
  env: { AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string }
  objects: Map<string, StoredBytes>
  /** The requests so far. */
  requests: SeenRequest[]
  /** Answers everything with this status until it is set to null; 'silence': not at all. */
  trouble: number | 'silence' | null
  stop(): Promise<void>
}

export interface SeenRequest {
  method: string
  name: string
  /** Whether it came by an address that was signed ahead. */
  signedAhead: boolean
}

export interface StoredBytes {
  bytes: Buffer
  storedAt: number
}

const bucket = 'test-images'
const env = { AWS_ACCESS_KEY_ID: 'TESTKEY', AWS_SECRET_ACCESS_KEY: 'test/secret' }
const secrets = new Map([[env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY]])
const pageLength = 100

export async function startObjectServer(): Promise<ObjectServer> {
  const server = createServer((request, response) => {
    answer(state, request, response).catch((error: unknown) => response.destroy(new Error(String(error))))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const url = `http://127.0.0.1:${port}`
  const state: ObjectServer = {
    url,
    bucket,
    blobStore: `s3://${bucket}/vq?endpoint=${url}&path_style=true&from_bytes=0`,
    env,
    objects: new Map(),
    requests: [],
    trouble: null,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return state
}

async function answer(state: ObjectServer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  const url = new URL(request.url ?? '/', 'http://host')
  const [, at = '', ...path] = url.pathname.split('/').map((part) => decodeURIComponent(part))
  const name = path.join('/')
  state.requests.push({ method: request.method ?? '', name, signedAhead: url.searchParams.has('X-Amz-Signature') })
  if (state.trouble === 'silence') return
  const refuse = (status: number, code: string): void => {
    response.writeHead(status, { 'Content-Type': 'application/xml' }).end(`<Error><Code>${code}</Code></Error>`)
  }
  if (state.trouble !== null) return refuse(state.trouble, 'InternalError')
  if (!isSigned(request, sha256(body).toString('hex'), secrets)) return refuse(403, 'SignatureDoesNotMatch')
  if (at !== state.bucket) return refuse(404, 'NoSuchBucket')
  switch (request.method ?? '') {
    case 'PUT':
      return put(state, name, body, request, response, refuse)
    case 'POST':
      for (const [, key = ''] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)) state.objects.delete(key)
      response.end('<DeleteResult/>')
      return
    case 'GET':
    case 'HEAD':
      if (name === '') return void response.end(request.method === 'HEAD' ? '' : page(state, url.searchParams))
      return get(state, name, request, response, refuse)
    default:
      return refuse(405, 'MethodNotAllowed')
  }
}

type Refuse = (status: number, code: string) => void

function put(
  { objects }: ObjectServer,
  name: string,
  body: Buffer,
  { headers }: IncomingMessage,
  response: ServerResponse,
  refuse: Refuse,
): void {
  const checksum = headers['x-amz-checksum-sha256']
  if (checksum !== undefined && checksum !== sha256(body).toString('base64')) return refuse(400, 'BadDigest')
  if (headers['if-none-match'] === '*' && objects.has(name)) return refuse(412, 'PreconditionFailed')
  objects.set(name, { bytes: body, storedAt: Date.now() })
  response.end()
}

function get(
  { objects }: ObjectServer,
  name: string,
  { headers, method }: IncomingMessage,
  response: ServerResponse,
  refuse: Refuse,
): void {
  const stored = objects.get(name)
  if (stored === undefined) return refuse(404, 'NoSuchKey')
  const [, end] = /^bytes=0-(\d+)$/.exec(headers.range ?? '') ?? []
  const bytes = end === undefined ? stored.bytes : stored.bytes.subarray(0, Number(end) + 1)
  const sum = headers['x-amz-checksum-mode'] === 'ENABLED' ? sha256(stored.bytes).toString('base64') : null
  response.writeHead(end === undefined ? 200 : 206, {
    'Content-Length': bytes.length,
    ...(sum === null ? {} : { 'x-amz-checksum-sha256': sum }),
  })
  response.end(method === 'HEAD' ? undefined : bytes)
}

/** A page of the list. The token to go on by is the last name. */
function page({ objects }: ObjectServer, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? ''
  const after = query.get('continuation-token') ?? ''
  const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && name > after).toSorted()
  const shown = names.slice(0, pageLength)
  const more = names.length > shown.length
  const entries = shown.map((name) => {
    const { bytes, storedAt } = objects.get(name) ?? { bytes: '', storedAt: 0 }
    return `<Contents><Key>${name}</Key><Size>${bytes.length}</Size><LastModified>${new Date(storedAt).toISOString()}</LastModified></Contents>`
  })
  const next = more ? `<NextContinuationToken>${shown.at(-1)}</NextContinuationToken>` : ''
  return `<?xml version="1.0"?><ListBucketResult><IsTruncated>${more}</IsTruncated>${entries.join('')}${next}</ListBucketResult>`
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
