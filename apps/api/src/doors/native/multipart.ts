import { isAscii } from 'node:buffer'

import { MaxPartsExceededError, type MultipartPart, parseMultipart } from '@remix-run/multipart-parser'
import { VisionQueueError } from '@vision-queue/protocol'

import { addText, type Form, isImageField, maxFormFields } from './form.ts'
import { imageTypeOf } from '../../intake/image.ts'
import { type FormPart, readPart, textOfPart } from './multipart-part.ts'

/** RFC 2046, 5.1.1. Looking for one of 14,000 characters in a body made for it took a minute. */
const maxBoundaryLength = 70

/** `multipart/form-data`, of its parts those that are wanted. Files are views of the body, not copies. */
export function parseMultipartForm(
  body: Buffer,
  contentType: string,
  wants: (name: string) => boolean = () => true,
): Form {
  const form: Form = { texts: new Map(), images: [] }
  const boundary = boundaryOf(contentType)
  for (const [index, raw] of partsOf(body, boundary).entries()) {
    const part = readPart(raw, { body, boundary, number: index + 1, wants })
    // An empty file field of a page comes with an empty name and no bytes.
    if (part === null || part.bytes.length === 0) continue
    if (!isImageField(part.name)) addText(form, part.name, textOfPart(part))
    else form.images.push({ field: part.name, content: isImageText(part) ? textOfPart(part) : part.bytes })
  }
  return form
}

/** Whether a part that is an image is no file but a text that stands for one, whatever it was announced as. */
function isImageText({ bytes, type, hasFilename }: FormPart): boolean {
  if (imageTypeOf(bytes) !== null || !isAscii(bytes)) return false
  if (type.startsWith('text/')) return true
  const isUri = bytes.subarray(0, 5).toString('latin1').toLowerCase() === 'data:'
  return isUri || (!hasFilename && !type.startsWith('image/'))
}

function boundaryOf(contentType: string): string {
  const match = /;\s*boundary\s*=\s*(?:"([^"]*)"|([^;\s]*))/i.exec(contentType)
  const boundary = match?.[1] ?? match?.[2] ?? ''
  if (boundary === '' || boundary.length > maxBoundaryLength) {
    throw notMultipart(
      `its Content-Type has no boundary of 1 to ${maxBoundaryLength} characters. A client that encodes the form writes ` +
        'the header itself',
    )
  }
  return boundary
}

/** All at once: a form that is cut is refused as that, whatever is in its first field. */
function partsOf(body: Buffer, boundary: string): MultipartPart[] {
  const content = body.subarray(startOf(body, boundary))
  try {
    const limits = { maxParts: maxFormFields, maxFileSize: body.length, maxTotalSize: body.length }
    return [...parseMultipart(content, { boundary, ...limits })]
  } catch (cause) {
    if (cause instanceof MaxPartsExceededError) {
      throw new VisionQueueError('payload_too_large', `A form may have at most ${maxFormFields} fields.`)
    }
    throw notMultipart('it ends before the boundary that closes it, or the headers of a part are too long', cause)
  }
}

/** Where the first boundary is; what comes before it means nothing (RFC 2046, 5.1.1). */
function startOf(body: Buffer, boundary: string): number {
  const first = Buffer.from(`--${boundary}`, 'latin1')
  const start = body.subarray(0, first.length).equals(first) ? 0 : body.indexOf(`\r\n--${boundary}`, 0, 'latin1') + 2
  // -1 + 2: it is nowhere.
  if (start === 1) throw notMultipart('the boundary of its Content-Type begins no line of it')
  const line = body.subarray(start + first.length, start + first.length + 16).toString('latin1')
  if (/^[ \t]*\n/.test(line)) throw notMultipart('its lines end in LF, where a form has CR LF')
  return start
}

function notMultipart(why: string, cause?: unknown): VisionQueueError {
  const detail = `The body is not the multipart/form-data that Content-Type announces: ${why}.`
  return new VisionQueueError('invalid_request', detail, { cause })
}
