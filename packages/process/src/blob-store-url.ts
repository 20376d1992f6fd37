/** Where the bytes of large images are kept. */
export type BlobStoreTarget =
  /** With everything else, in Redis. */
  | { kind: 'redis' }
  /** In a bucket of a service that speaks the S3 protocol. Credentials are not part of it: the SDK looks for them. */
  | {
      kind: 's3'
      bucket: string
      /** What all names of objects begin with; empty or with a slash at its end. */
      prefix: string
      region: string
      /** Where the service is; null: where AWS has it by its region. */
      endpoint: string | null
      /** Whether the bucket's name is in the path of an address, not in its host. */
      pathStyle: boolean
      /** Images of fewer bytes stay in Redis. */
      fromBytes: number
    }

const form =
  'redis or s3://bucket/prefix with the options ?region=eu-central-1&endpoint=https://host:port&path_style=true&from_bytes=16384'
const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const prefixPattern = /^[\w!.*'()/-]{0,200}$/
const options = ['region', 'endpoint', 'path_style', 'from_bytes']

/** Reads a BLOB_STORE. Throws an Error that says what was expected. */
export function parseBlobStore(text: string): BlobStoreTarget {
  if (text === 'redis') return { kind: 'redis' }
  const [, authority = '', path = '', query = ''] = /^s3:\/\/([^/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(text) ?? []
  if (authority === '') throw new Error(`expected ${form}`)
  if (authority.includes('@')) {
    throw new Error('expected no credentials in it: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile or role')
  }
  if (!bucketPattern.test(authority)) throw new Error('expected the name of a bucket after s3://')
  if (!prefixPattern.test(path)) throw new Error("expected a prefix of at most 200 letters, digits and !.*'()/_-")
  const given = new URLSearchParams(query)
  for (const name of given.keys()) {
    if (!options.includes(name)) throw new Error(`expected no option but ${options.join(', ')}`)
  }
  return {
    kind: 's3',
    bucket: authority,
    prefix: path === '' || path.endsWith('/') ? path : `${path}/`,
    region: given.get('region') ?? 'us-east-1',
    endpoint: readEndpoint(given.get('endpoint')),
    pathStyle: readPathStyle(given.get('path_style')),
    fromBytes: readFromBytes(given.get('from_bytes')),
  }
}

function readEndpoint(text: string | null): string | null {
  if (text === null) return null
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.username !== '') {
    throw new Error('expected endpoint to be http://host:port or https://host:port')
  }
  return url.origin
}

function readPathStyle(text: string | null): boolean {
  if (text !== null && text !== 'true' && text !== 'false') throw new Error('expected path_style to be true or false')
  return text === 'true'
}

function readFromBytes(text: string | null): number {
  if (text !== null && !/^\d{1,9}$/.test(text)) throw new Error('expected from_bytes to be a whole number')
  return Number(text ?? 16_384)
}
