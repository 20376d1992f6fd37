import { hash as hashOf } from 'node:crypto'

import { formatOf, uprightSizeOf } from '@vision-queue/image-header'
import { type ImageFacts, type ImageType, VisionQueueError } from '@vision-queue/protocol'

import { describeForeignBytes } from './foreign-bytes.ts'

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
  const known = { hash: hashOf('sha256', image, 'hex'), bytes: image.length }
  const facts = inspectStart(image, known, { maxImagePixels })
  if (facts === null) throw new VisionQueueError('image_undecodable', 'The header of the image is broken.')
  return facts
}

/**
 * The same by the first bytes of an image, of which the rest is known. Null where its size is not told in them, because
 * the header is longer or broken.
 */
export function inspectStart(
  start: Uint8Array,
  known: Pick<ImageFacts, 'hash' | 'bytes'>,
  { maxImagePixels }: { maxImagePixels: number },
): ImageFacts | null {
  const type = imageTypeOf(start)
  if (type === null) throw new VisionQueueError('unsupported_media_type', describeForeignBytes(start))
  const size = uprightSizeOf(start)
  if (size === null) return null
  const { width, height } = size
  if (width * height > maxImagePixels) {
    throw new VisionQueueError(
      'image_too_large',
      `The image has ${width} x ${height} pixels; at most ${maxImagePixels} are taken.`,
    )
  }
  return { ...known, type, width, height }
}

/** The type that an image's first 12 bytes tell; null for those that aren't taken. */
export function imageTypeOf(image: Uint8Array): ImageType | null {
  const format = formatOf(image)
  return format === null ? null : `image/${format}`
}

/** The refusal of an image of more bytes. */
export function tooManyBytes(maxImageBytes: number): VisionQueueError {
  return new VisionQueueError('payload_too_large', `An image may have at most ${maxImageBytes} bytes.`)
}
