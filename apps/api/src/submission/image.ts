import { createHash } from 'node:crypto'

import { type ImageFacts, type ImageType, VisionQueueError } from '@vision-queue/jobs'
import { imageDimensionsFromData } from 'image-dimensions'

/**
 * What can be told of an image without decoding it: hash, size and type, the type by its first bytes,
 * whatever was announced. Reads the header only; whether the pixels decode, the engine finds out.
 * Throws `payload_too_large`, `unsupported_media_type`, `image_too_large` and `image_undecodable`.
 */
export function inspectImage(
  image: Uint8Array,
  { maxImageBytes, maxImagePixels }: { maxImageBytes: number; maxImagePixels: number },
): ImageFacts {
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
  return { hash: createHash('sha256').update(image).digest('hex'), bytes: image.length, type, width, height }
}

/** The type that an image's first 12 bytes tell, by ISO/IEC 10918-1, the PNG specification and RFC 9649; null for others. */
export function imageTypeOf(image: Uint8Array): ImageType | null {
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

/** The refusal of an image of more bytes. */
export function tooManyBytes(maxImageBytes: number): VisionQueueError {
  return new VisionQueueError('payload_too_large', `An image may have at most ${maxImageBytes} bytes.`)
}
