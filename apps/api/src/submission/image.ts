import { createHash } from 'node:crypto'

import { type ImageType, type QueuedJob, VisionQueueError } from '@vision-queue/jobs'
import { imageDimensionsFromData } from 'image-dimensions'

import { refusal } from '../expectation.ts'

const expectedText = 'the image as base64 (with padding, without line breaks) or as a data:image/...;base64, URI'

/**
 * The bytes of an image in JSON. Strict, for a lenient decoder turns a mistyped or cut string into
 * a broken image that fails long after it was accepted.
 */
export function decodeImageText(text: string, maxImageBytes: number): Uint8Array {
  if (/^https?:/i.test(text)) {
    throw refusal('invalid_request', [{ field: 'input.image', expected: `${expectedText}; addresses are not fetched` }])
  }
  const prefix = /^data:image\/[a-z0-9.+-]+;base64,/i.exec(text)?.[0] ?? ''
  const base64 = text.slice(prefix.length)
  // Checked before decoding: four characters are three bytes.
  if ((base64.length / 4) * 3 > maxImageBytes + 2) throw tooManyBytes(maxImageBytes)
  if (base64 === '' || base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    throw refusal('invalid_request', [{ field: 'input.image', expected: expectedText }])
  }
  return Buffer.from(base64, 'base64')
}

/**
 * What the queue needs to know of an image: its hash, size and type, the type by its first bytes,
 * whatever was announced. Reads the header only; whether the pixels decode, the engine finds out.
 * Throws `payload_too_large`, `unsupported_media_type`, `image_too_large` and `image_undecodable`.
 */
export function inspectImage(
  image: Uint8Array,
  { maxImageBytes, maxImagePixels }: { maxImageBytes: number; maxImagePixels: number },
): QueuedJob['image'] {
  if (image.length > maxImageBytes) throw tooManyBytes(maxImageBytes)
  const type = imageTypeOf(image)
  if (type === null) {
    throw new VisionQueueError('unsupported_media_type', 'The image has to be a JPEG, PNG or WebP; its bytes are none.')
  }
  const { width, height } = dimensionsOf(image)
  if (width * height > maxImagePixels) {
    throw new VisionQueueError(
      'image_too_large',
      `The image has ${width} x ${height} pixels; at most ${maxImagePixels} are taken.`,
    )
  }
  return { hash: createHash('sha256').update(image).digest('hex'), bytes: image.length, type }
}

/** Signatures of ISO/IEC 10918-1, the PNG specification and RFC 9649. */
function imageTypeOf(image: Uint8Array): ImageType | null {
  const start = Buffer.from(image.subarray(0, 12)).toString('latin1')
  if (start.startsWith('\u00ff\u00d8\u00ff')) return 'image/jpeg'
  if (start.startsWith('\u0089PNG\r\n\u001a\n')) return 'image/png'
  if (start.startsWith('RIFF') && start.endsWith('WEBP')) return 'image/webp'
  return null
}

function dimensionsOf(image: Uint8Array): { width: number; height: number } {
  try {
    // The parser copies what it is given, and nearly every header ends within the first 64 KiB.
    const dimensions = imageDimensionsFromData(image.subarray(0, 65_536)) ?? imageDimensionsFromData(image)
    if (dimensions !== undefined && dimensions.width > 0 && dimensions.height > 0) return dimensions
  } catch (cause) {
    throw new VisionQueueError('image_undecodable', 'The header of the image is broken.', { cause })
  }
  throw new VisionQueueError('image_undecodable', 'The header of the image is broken.')
}

function tooManyBytes(maxImageBytes: number): VisionQueueError {
  return new VisionQueueError('payload_too_large', `An image may have at most ${maxImageBytes} bytes.`)
}
