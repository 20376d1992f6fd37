import { imageTypes, VisionQueueError } from '@vision-queue/protocol'
import type { Context } from 'hono'

import type { ApiEnv } from '../../api-env.ts'
import type { BodyBudget } from '../../guard/body-budget.ts'
import { imageTypeOf } from '../../intake/image.ts'
import { readBody } from './read-body.ts'

/** The body of a request that brings an image, in one of the forms an image comes in. */
export interface TypedBody {
  kind: 'json' | 'multipart' | 'urlencoded' | 'raw'
  bytes: Buffer
}

export interface TypedBodyOptions {
  maxBodyBytes: number
  /** Bodies that are announced as images may have so many bytes. */
  maxImageBytes: number
  bodyTimeoutMs: number
  bodyBudget: BodyBudget
}

const urlencoded = 'application/x-www-form-urlencoded'
const listedTypes = ['application/json', 'multipart/form-data', ...imageTypes, urlencoded, 'application/octet-stream']
/** What clients write who don't say what they send: curl, fetch with a text, object stores; '' is no type at all. */
const vagueTypes = new Set(['', urlencoded, 'text/plain', 'application/octet-stream', 'binary/octet-stream'])
const jsonType = /^(application|text)\/json$|^[^/]+\/[^/]+\+json$/

/** Reads the body. What can be refused by the headers is, unread. */
export async function readTypedBody(c: Context<ApiEnv>, options: TypedBodyOptions): Promise<TypedBody> {
  const type = c.req.header('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const isImage = type.startsWith('image/')
  if (!isImage && type !== 'multipart/form-data' && !jsonType.test(type) && !vagueTypes.has(type)) throw notTaken()
  const coding = c.req.header('content-encoding')?.trim().toLowerCase() ?? ''
  if (coding !== '' && coding !== 'identity') {
    const detail = 'The body has to come as it is, without a Content-Encoding or with identity; it is not decompressed.'
    throw new VisionQueueError('unsupported_media_type', detail)
  }
  const bytes = await readBody(c.env, {
    maxBytes: isImage ? Math.min(options.maxImageBytes, options.maxBodyBytes) : options.maxBodyBytes,
    timeoutMs: options.bodyTimeoutMs,
    budget: options.bodyBudget,
  })
  return { kind: kindOf(type, bytes), bytes }
}

/** An image is told by its bytes, whatever was announced; JSON too where little was. */
function kindOf(type: string, bytes: Buffer): TypedBody['kind'] {
  if (type === 'multipart/form-data') return 'multipart'
  if (type.startsWith('image/') || imageTypeOf(bytes) !== null) return 'raw'
  if (jsonType.test(type) || beginsLikeJson(bytes)) return 'json'
  if (type === urlencoded) return 'urlencoded'
  if (type === 'text/plain') throw notTaken()
  return 'raw'
}

function beginsLikeJson(bytes: Buffer): boolean {
  return /^(\u00ef\u00bb\u00bf)?\s*\{/.test(bytes.subarray(0, 64).toString('latin1'))
}

function notTaken(): VisionQueueError {
  return new VisionQueueError('unsupported_media_type', `Content-Type has to be one of ${listedTypes.join(', ')}.`)
}
