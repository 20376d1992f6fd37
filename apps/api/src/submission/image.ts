import { createHash } from 'node:crypto'

import { formatOf, uprightSizeOf } from '@vision-queue/image-header'
import { hashOfImageId, type ImageFacts, imageIdSchema, type ImageType, VisionQueueError } from '@vision-queue/jobs'

import { refusal } from '../expectation.ts'
import { describeForeignBytes } from './foreign-bytes.ts'

const expectedText = 'the image as base64 (with padding, without line breaks) or as a data:image/...;base64, URI'

/** The upload that a text names; null where it is no image's id. */
export function asUpload(text: string): { kind: 'upload'; hash: string } | null {
  return imageIdSchema.safeParse(text).success ? { kind: 'upload', hash: hashOfImageId(text) } : null
}

/** The address that a text is, in `field`; null where it is none, or where images aren't fetched. */
export function asAddress(
  text: string,
  { field, fetchesImages }: { field: string; fetchesImages: boolean },
): { kind: 'address'; address: string; field: string } | null {
  return fetchesImages && isAddress(text) ? { kind: 'address', address: text, field } : null
}

/**
 * The bytes of an image in JSON, which `field` held. Strict, for a lenient decoder turns a mistyped or cut
 * string into a broken image that fails long after it was accepted.
 */
export function decodeImageText(
  text: string,
  { field, maxImageBytes }: { field: string; maxImageBytes: number },
): Uint8Array {
  if (isAddress(text)) {
    throw refusal('invalid_request', [{ field, expected: `${expectedText}; addresses are not fetched` }])
  }
  const prefix = /^data:image\/[a-z0-9.+-]+;base64,/i.exec(text)?.[0] ?? ''
  const base64 = text.slice(prefix.length)
  // Checked before decoding: four characters are three bytes.
  if ((base64.length / 4) * 3 > maxImageBytes + 2) throw tooManyBytes(maxImageBytes)
  const image = decodeBase64(base64)
  if (image === null) throw refusal('invalid_request', [{ field, expected: expectedText }])
  return image
}

/**
 * Null unless the text is /^[A-Za-z0-9+/]+={0,2}$/ of a length that four divides. Node's decoder passes over
 * what it doesn't know, and that shows in the number of bytes; the rest it takes for base64 is looked for. A
 * regular expression over 5 MB stood still for 43 ms, this takes 3.
 */
function decodeBase64(text: string): Buffer | null {
  if (text === '' || text.length % 4 !== 0) return null
  // Its low byte would be taken of a character beyond Latin-1, and the URL-safe alphabet is understood too.
  if (Buffer.byteLength(text) !== text.length || text.includes('-') || text.includes('_')) return null
  const bytes = Buffer.from(text, 'base64')
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return bytes.length === (text.length / 4) * 3 - padding ? bytes : null
}

/**
 * What can be told of an image without decoding it: hash, type, and its size as it stands upright, by EXIF;
 * the type by its first bytes, whatever was announced. Reads the header only; whether the pixels decode, the engine finds out.
 * Throws `payload_too_large`, `unsupported_media_type`, `image_too_large` and `image_undecodable`.
 */
export function inspectImage(
  image: Uint8Array,
  { maxImageBytes, maxImagePixels }: { maxImageBytes: number; maxImagePixels: number },
): ImageFacts {
  if (image.length > maxImageBytes) throw tooManyBytes(maxImageBytes)
  const type = imageTypeOf(image)
  if (type === null) throw new VisionQueueError('unsupported_media_type', describeForeignBytes(image))
  const size = uprightSizeOf(image)
  if (size === null) throw new VisionQueueError('image_undecodable', 'The header of the image is broken.')
  const { width, height } = size
  if (width * height > maxImagePixels) {
    throw new VisionQueueError(
      'image_too_large',
      `The image has ${width} x ${height} pixels; at most ${maxImagePixels} are taken.`,
    )
  }
  return { hash: createHash('sha256').update(image).digest('hex'), bytes: image.length, type, width, height }
}

function isAddress(text: string): boolean {
  return /^https?:/i.test(text)
}

/** The type that an image's first 12 bytes tell; null for those that aren't taken. */
export function imageTypeOf(image: Uint8Array): ImageType | null {
  const format = formatOf(image)
  return format === null ? null : `image/${format}`
}

function tooManyBytes(maxImageBytes: number): VisionQueueError {
  return new VisionQueueError('payload_too_large', `An image may have at most ${maxImageBytes} bytes.`)
}
