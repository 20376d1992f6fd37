import { imageTypes, VisionQueueError } from '@vision-queue/jobs'
import type { Context } from 'hono'

import type { ApiEnv } from '../api-env.ts'
import { refusal } from '../expectation.ts'
import { readBody } from './read-body.ts'

/** The body of a request that brings an image, in one of the forms an image comes in. */
export interface TypedBody {
  kind: 'json' | 'multipart' | 'raw'
  bytes: Buffer
  /** Of raw bodies, where the address is to take one; else empty. */
  query: Record<string, string[]>
}

export interface TypedBodyOptions {
  maxBodyBytes: number
  /** Raw bodies are images, and may have so many bytes. */
  maxImageBytes: number
  bodyTimeoutMs: number
  /** Whether the query of a raw body tells the rest; else nobody may send one. */
  rawQuery: boolean
}

const bodyTypes: readonly string[] = ['application/json', 'multipart/form-data', ...imageTypes]

/** Reads the body. What can be refused by the headers is, unread. */
export async function readTypedBody(c: Context<ApiEnv>, options: TypedBodyOptions): Promise<TypedBody> {
  const type = c.req.header('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!bodyTypes.includes(type)) {
    throw new VisionQueueError('unsupported_media_type', `Content-Type has to be one of ${bodyTypes.join(', ')}.`)
  }
  if (c.req.header('content-encoding') !== undefined) {
    throw new VisionQueueError('unsupported_media_type', 'The body has to come without a Content-Encoding.')
  }
  const raw = type.startsWith('image/')
  const query = c.req.queries()
  const [unexpected] = raw && options.rawQuery ? [] : Object.keys(query)
  if (unexpected !== undefined) {
    const expected = options.rawQuery ? 'in the body; only an image body has a query' : 'no query'
    throw refusal('invalid_request', [{ field: unexpected, expected }])
  }
  const bytes = await readBody(c.env, {
    maxBytes: raw ? Math.min(options.maxImageBytes, options.maxBodyBytes) : options.maxBodyBytes,
    timeoutMs: options.bodyTimeoutMs,
  })
  return { kind: raw ? 'raw' : type === 'multipart/form-data' ? 'multipart' : 'json', bytes, query }
}
