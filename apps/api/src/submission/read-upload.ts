import { uploadSchema } from '@vision-queue/jobs'
import type { Context } from 'hono'

import type { ApiEnv } from '../api-env.ts'
import { parseRequest, refusal } from '../expectation.ts'
import { decodeImageText } from './image.ts'
import { parseForm } from './multipart.ts'
import { parseJsonBody } from './plain-json.ts'
import { readTypedBody, type TypedBodyOptions } from './typed-body.ts'

/** The image in a request that brings nothing else: raw, as a form's one file, or in JSON as text. */
export async function readUpload(c: Context<ApiEnv>, options: Omit<TypedBodyOptions, 'rawQuery'>): Promise<Uint8Array> {
  const { kind, bytes } = await readTypedBody(c, { ...options, rawQuery: false })
  switch (kind) {
    case 'raw':
      if (bytes.length === 0) throw refusal('invalid_request', [{ field: '', expected: 'the bytes of an image' }])
      return bytes
    case 'multipart': {
      const { texts, image } = parseForm(bytes, c.req.header('content-type') ?? '')
      const [unexpected] = texts.keys()
      if (unexpected !== undefined) {
        const expected = unexpected === 'image' ? 'a file, not text' : 'no field of this name'
        throw refusal('invalid_request', [{ field: unexpected, expected }])
      }
      if (image === null) throw refusal('invalid_request', [{ field: 'image', expected: 'a file (missing)' }])
      return image
    }
    case 'json': {
      const { image } = parseRequest(uploadSchema, parseJsonBody(bytes))
      return decodeImageText(image, { field: 'image', maxImageBytes: options.maxImageBytes })
    }
    default:
      return kind satisfies never
  }
}
