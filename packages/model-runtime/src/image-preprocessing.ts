import { VisionQueueError } from '@vision-queue/jobs'
import sharp from 'sharp'

import type { Preprocessing } from './preprocessor-config.ts'

/** An image resized and in plain colours: bytes [height, width, 3], RGB, 0..255. */
export interface DecodedImage {
  bytes: Uint8Array
  height: number
  width: number
}

/**
 * Process-wide limits of the image library, to be set once before the first image: only JPEG, PNG and
 * WebP are read (SVG, GIF, TIFF and the rest have been the way in of most attacks on image services),
 * one thread an image, since many are decoded at a time, and no cache, since none comes twice.
 */
export function limitImageLibrary(): void {
  sharp.block({ operation: ['VipsForeignLoad'] })
  sharp.unblock({ operation: ['VipsForeignLoadJpeg', 'VipsForeignLoadPng', 'VipsForeignLoadWebp'] })
  sharp.concurrency(1)
  sharp.cache(false)
}

/**
 * Decodes, turns upright (EXIF), flattens transparency on white and resizes. CMYK, grey and 16-bit
 * images come out as 8-bit RGB; of an animation the first frame is taken. It runs in libuv's thread
 * pool: hand over many at once. Rejects with `image_too_large` (decided from the header) or
 * `image_undecodable`; a truncated file counts as broken.
 */
export async function decodeImage(
  image: Uint8Array,
  {
    preprocessing: { resize, kernel },
    maxPixels,
    timeoutSeconds = 10,
  }: { preprocessing: Preprocessing; maxPixels: number; timeoutSeconds?: number },
): Promise<DecodedImage> {
  try {
    const { data, info } = await sharp(image, { limitInputPixels: maxPixels, autoOrient: true })
      .timeout({ seconds: timeoutSeconds })
      .flatten({ background: '#ffffff' })
      .resize({
        width: resize.width,
        height: resize.height,
        fit: resize.fit === 'fill' ? 'fill' : 'outside',
        kernel,
      })
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    if (info.channels !== 3) throw new Error(`decoded to ${info.channels} channels`)
    return { bytes: data, height: info.height, width: info.width }
  } catch (error) {
    throw imageError(error, maxPixels)
  }
}

/** libvips' own words stay inside: they name its functions, not what the sender can do. */
function imageError(error: unknown, maxPixels: number): VisionQueueError {
  const message = error instanceof Error ? error.message : ''
  if (message.includes('exceeds pixel limit')) {
    return new VisionQueueError('image_too_large', `The image has more than ${maxPixels} pixels.`, { cause: error })
  }
  if (message.includes('timeout')) {
    return new VisionQueueError('image_undecodable', 'The image takes too long to decode.', { cause: error })
  }
  if (message.includes('unsupported image format')) {
    return new VisionQueueError('image_undecodable', 'The image is no JPEG, PNG or WebP.', { cause: error })
  }
  return new VisionQueueError('image_undecodable', 'The image is broken or truncated.', { cause: error })
}

/**
 * Writes an image into its place of a batch tensor (``float32 [N, 3, H, W]``, RGB planes), scaled,
 * and cropped from the centre where the decoded image is larger than the tensor.
 */
export function writePixels(
  target: Float32Array,
  offset: number,
  image: DecodedImage,
  { height, width, scale, shift }: Preprocessing,
): void {
  const { bytes } = image
  const top = Math.floor((image.height - height) / 2)
  const left = Math.floor((image.width - width) / 2)
  const plane = height * width
  const [scaleR, scaleG, scaleB] = scale
  const [shiftR, shiftG, shiftB] = shift
  let to = offset
  for (let row = 0; row < height; row += 1) {
    let from = ((top + row) * image.width + left) * 3
    for (let column = 0; column < width; column += 1) {
      target[to] = (bytes[from] ?? 0) * scaleR + shiftR
      target[to + plane] = (bytes[from + 1] ?? 0) * scaleG + shiftG
      target[to + 2 * plane] = (bytes[from + 2] ?? 0) * scaleB + shiftB
      to += 1
      from += 3
    }
  }
}

/** A small white PNG, to warm a model up with. */
export async function blankImage(): Promise<Uint8Array> {
  return sharp({ create: { width: 32, height: 32, channels: 3, background: '#ffffff' } })
    .png()
    .toBuffer()
}
