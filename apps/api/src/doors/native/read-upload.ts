import { uploadSchema } from '@vision-queue/protocol'
import type { Context } from 'hono'

import type { ApiEnv } from '../../api-env.ts'
import { parseRequest, refusal } from '../../expectation.ts'
import { type Form, onlyImage } from './form.ts'
import { decodeImageText } from './image-text.ts'
import { parseMultipartForm } from './multipart.ts'
import { parseJsonBody } from './plain-json.ts'
import { readTypedBody, type TypedBodyOptions } from './typed-body.ts'
import { parseUrlencoded } from './urlencoded.ts'

/** The image in a request that brings nothing else: raw, as a form's one image, or in JSON as text. */
export async function readUpload(c: Context<ApiEnv>, options: TypedBodyOptions): Promise<Uint8Array> {
  const { kind, bytes } = await readTypedBody(c, options)
  switch (kind) {
    case 'raw':
      if (bytes.length === 0) throw refusal('invalid_request', [{ field: '', expected: 'the bytes of an image' }])
      return bytes
    case 'multipart':
      return imageOfForm(parseMultipartForm(bytes, c.req.header('content-type') ?? ''), options)
    case 'urlencoded':
      return imageOfForm(parseUrlencoded(bytes), options)
    case 'json': {
      const { image } = parseRequest(uploadSchema, parseJsonBody(bytes))
      return decodeImageText(image, { field: 'image', maxImageBytes: options.maxImageBytes })
    }
    default:
      return kind satisfies never
  }
}

function imageOfForm(form: Form, { maxImageBytes }: TypedBodyOptions): Uint8Array {
  const [unexpected] = form.texts.keys()
  if (unexpected !== undefined) {
    throw refusal('invalid_request', [{ field: unexpected, expected: 'no field of this name' }])
  }
  const { field, content } = onlyImage(form)
  return typeof content === 'string' ? decodeImageText(content, { field, maxImageBytes }) : content
}
