import { isAscii } from 'node:buffer'

import type { MultipartPart } from '@remix-run/multipart-parser'
import { VisionQueueError } from '@vision-queue/protocol'

import { refusal } from '../../expectation.ts'
import { decodeBase64 } from './base64.ts'

/** A part of a form, by its headers. */
export interface FormPart {
  name: string
  bytes: Buffer
  /** Its media type without parameters, in small letters; '' where it has none. */
  type: string
  charset: string
  hasFilename: boolean
}

interface PartOptions {
  /** What the part is a view of. */
  body: Buffer
  boundary: string
  /** Which part it is, counted from 1, for errors. */
  number: number
  /** Whether a part of this name is to be read. */
  wants: (name: string) => boolean
}

/** Reads a part's headers and undoes its transfer encoding; null: it is not wanted. */
export function readPart(part: MultipartPart, { body, boundary, number, wants }: PartOptions): FormPart | null {
  const headers = headersOf(part, { body, boundary })
  const { name, filename } = part
  if (name === undefined) {
    throw new VisionQueueError('invalid_request', `Part ${number} of the form has no name in a Content-Disposition.`)
  }
  if (!wants(name)) return null
  const [type = '', ...parameters] = (headers['content-type'] ?? '').split(';').map((text) => text.trim().toLowerCase())
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length)
  return {
    name,
    bytes: decodeTransfer(bytesOf(part), { name, encoding: headers['content-transfer-encoding'] }),
    type,
    charset: charset?.replaceAll('"', '') ?? 'utf-8',
    hasFilename: filename !== undefined,
  }
}

/**
 * A part as text, whether it came as a file or not: in a browser a part that is JSON is a Blob, and gets a filename.
 * A single text inside JSON, which generated clients write, is that text.
 */
export function textOfPart({ name, bytes, type, charset }: FormPart): string {
  const text = charset === 'utf-8' && isAscii(bytes) ? bytes.toString('latin1') : decodeText(bytes, { name, charset })
  if (!type.endsWith('json')) return text
  try {
    const value: unknown = JSON.parse(text)
    return value === null ? '' : typeof value === 'string' ? value : text
  } catch {
    return text
  }
}

function decodeText(bytes: Buffer, { name, charset }: { name: string; charset: string }): string {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes)
  } catch (cause) {
    const expected = `text in UTF-8, or in the charset that its Content-Type names; only "image" or "images" may be another file`
    throw refusal('invalid_request', [{ field: name, expected }], cause)
  }
}

/** Given one buffer, the parser gives one view of it per part; its own `bytes` would copy. */
function bytesOf(part: MultipartPart): Buffer {
  const [only] = part.content
  const bytes = only !== undefined && part.content.length === 1 ? only : part.bytes
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** RFC 7578 has no transfer encodings any more, but mail libraries write them. */
function decodeTransfer(bytes: Buffer, { name, encoding }: { name: string; encoding: string | undefined }): Buffer {
  const lower = encoding?.toLowerCase() ?? 'binary'
  if (['binary', '8bit', '7bit'].includes(lower) || bytes.length === 0) return bytes
  const decoded = lower === 'base64' ? decodeBase64(bytes.toString('latin1')) : { fault: `it is in ${lower}` }
  if ('bytes' in decoded) return decoded.bytes
  const expected = `Content-Transfer-Encoding binary or base64; ${decoded.fault}`
  throw refusal('invalid_request', [{ field: name, expected }])
}

/** A file's name may be in whatever charset its machine has, and nobody reads it: its bytes beyond ASCII are replaced. */
function headersOf(
  part: MultipartPart,
  { body, boundary }: Pick<PartOptions, 'body' | 'boundary'>,
): MultipartPart['headers'] {
  try {
    return part.headers
  } catch (cause) {
    const [content] = part.content
    if (content === undefined) {
      throw new VisionQueueError('invalid_request', 'The headers of a part of the form are not in UTF-8.', { cause })
    }
    const end = content.byteOffset - body.byteOffset
    const start = body.lastIndexOf(`--${boundary}`, end, 'latin1')
    for (let at = start; at < end; at += 1) if ((body[at] ?? 0) > 0x7f) body[at] = 0x3f
    return part.headers
  }
}
