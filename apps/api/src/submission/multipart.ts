import { MaxPartsExceededError, type MultipartPart, parseMultipart } from '@remix-run/multipart-parser'
import { VisionQueueError } from '@vision-queue/jobs'

import { refusal } from '../expectation.ts'
import { asAddress, asUpload } from './image.ts'
import type { ParsedSubmission, SubmissionLimits } from './parsed-submission.ts'
import { parseTextFields } from './text-fields.ts'

const maxParts = 256
/** RFC 2046, 5.1.1. Looking for one of 14,000 characters in a body made for it took a minute. */
const maxBoundaryLength = 70

/** `multipart/form-data`: the image is the file field `image` an upload's id or its address, everything else is text. */
export function parseMultipartSubmission(
  body: Buffer,
  contentType: string,
  limits: SubmissionLimits,
): ParsedSubmission {
  const { texts, image } = parseForm(body, contentType)
  const named = texts.get('image') ?? []
  texts.delete('image')
  const [id] = named
  if (id === undefined ? image === null : image !== null || named.length > 1) {
    throw refusal('invalid_request', [{ field: 'image', expected: 'one file, or the id of one uploaded image' }])
  }
  const fields = parseTextFields(texts, limits)
  if (image !== null) return { ...fields, image: { kind: 'bytes', bytes: image } }
  const elsewhere = asUpload(id ?? '') ?? asAddress(id ?? '', { field: 'image', ...limits })
  if (elsewhere !== null) return { ...fields, image: elsewhere }
  throw refusal('invalid_request', [{ field: 'image', expected: 'a file, or the id of an uploaded image (img_...)' }])
}

/** A form's text fields by name, and its one file `image`: a view of the body, not empty; null where there is none. */
export function parseForm(
  body: Buffer,
  contentType: string,
): { texts: Map<string, string[]>; image: Uint8Array | null } {
  const texts = new Map<string, string[]>()
  let image: Uint8Array | null = null
  for (const { name, value } of fieldsOf(body, contentType)) {
    if (typeof value === 'string') texts.set(name, [...(texts.get(name) ?? []), value])
    else if (name !== 'image')
      throw refusal('invalid_request', [{ field: name, expected: 'text; only "image" is a file' }])
    else if (image !== null || value.length === 0) {
      throw refusal('invalid_request', [{ field: 'image', expected: 'one file that is not empty' }])
    } else image = value
  }
  return { texts, image }
}

interface Field {
  name: string
  /** Text, or a file's bytes. */
  value: string | Uint8Array
}

/** A form's fields in order. All at once: a form that is cut is refused as that, whatever is in its first field. */
export function fieldsOf(body: Buffer, contentType: string): Field[] {
  const boundary = /boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType)
  const delimiter = boundary?.[1] ?? boundary?.[2]
  if (delimiter === undefined || delimiter.length > maxBoundaryLength) throw notMultipart()
  try {
    const limits = { maxParts, maxFileSize: body.length, maxTotalSize: body.length }
    return [...parseMultipart(body, { boundary: delimiter, ...limits })].map(fieldOf)
  } catch (cause) {
    if (!(cause instanceof MaxPartsExceededError)) throw notMultipart(cause)
    throw new VisionQueueError('payload_too_large', `A form may have at most ${maxParts} fields.`)
  }
}

function fieldOf(part: MultipartPart): Field {
  const { name, content } = part
  if (name === undefined) throw new Error('a part without a name')
  if (!part.isFile) return { name, value: part.text }
  // Given one buffer, the parser gives one view of it per part; its own `bytes` would copy.
  const [only] = content
  return { name, value: only !== undefined && content.length === 1 ? only : part.bytes }
}

function notMultipart(cause?: unknown): VisionQueueError {
  const detail = 'The body is not the multipart/form-data in UTF-8 that Content-Type announces.'
  return new VisionQueueError('invalid_request', detail, { cause })
}
