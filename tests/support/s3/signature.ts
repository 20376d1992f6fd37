import { createHash, createHmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/**
 * Whether a request is signed with the secret, by AWS' description of Signature Version 4 for S3: in its headers, or in
 * the query of an address that was signed ahead. Written from the description, so that it is no echo of the SDK.
 */
export function isSigned(request: IncomingMessage, bodyHash: string, secrets: ReadonlyMap<string, string>): boolean {
  const url = new URL(request.url ?? '/', 'http://host')
  const signed = url.searchParams.has('X-Amz-Signature') ? inQuery(url) : inHeaders(request)
  if (signed === null) return false
  const { credential, headerNames, date, signature, payload, expiresIn } = signed
  const [keyId = '', day = '', region = '', service = ''] = credential.split('/')
  const secret = secrets.get(keyId)
  if (secret === undefined || service !== 's3') return false
  const age = (Date.now() - timeOf(date)) / 1000
  if (age < -900 || age > expiresIn) return false
  if (payload !== 'UNSIGNED-PAYLOAD' && payload !== bodyHash) return false
  // Whoever leaves these out of what is signed could change them.
  const present = Object.keys(request.headers).filter((name) => name === 'host' || name.startsWith('x-amz-'))
  if (present.some((name) => !headerNames.includes(name))) return false
  const canonical = [
    request.method,
    url.pathname
      .split('/')
      .map((part) => encode(decodeURIComponent(part)))
      .join('/'),
    canonicalQuery(url),
    ...headerNames.map(
      (name) =>
        `${name}:${String(request.headers[name] ?? '')
          .trim()
          .replaceAll(/ +/g, ' ')}`,
    ),
    '',
    headerNames.join(';'),
    payload,
  ].join('\n')
  const scope = `${day}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const key = [day, region, service, 'aws4_request'].reduce<Buffer | string>(
    (last, part) => createHmac('sha256', last).update(part).digest(),
    `AWS4${secret}`,
  )
  return createHmac('sha256', key).update(toSign).digest('hex') === signature
}

interface Signed {
  credential: string
  headerNames: string[]
  date: string
  signature: string
  payload: string
  /** In seconds. */
  expiresIn: number
}

function inQuery({ searchParams }: URL): Signed {
  const of = (name: string): string => searchParams.get(`X-Amz-${name}`) ?? ''
  return {
    credential: of('Credential'),
    headerNames: of('SignedHeaders').split(';'),
    date: of('Date'),
    signature: of('Signature'),
    payload: 'UNSIGNED-PAYLOAD',
    expiresIn: Number(of('Expires')),
  }
}

function inHeaders({ headers }: IncomingMessage): Signed | null {
  const [, credential = '', names = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=(\w+)$/.exec(headers.authorization ?? '') ?? []
  if (signature === '') return null
  const payload = String(headers['x-amz-content-sha256'] ?? '')
  return {
    credential,
    headerNames: names.split(';'),
    date: String(headers['x-amz-date'] ?? ''),
    signature,
    payload,
    expiresIn: 900,
  }
}

function canonicalQuery({ searchParams }: URL): string {
  return [...searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .toSorted()
    .join('&')
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** Of `20260102T030405Z`. */
function timeOf(date: string): number {
  return Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}
