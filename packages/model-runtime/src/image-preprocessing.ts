import { VisionQueueError } from '@vision-queue/jobs'
import { imageDimensionsFromData } from 'image-dimensions'
import sharp from 'sharp'

import { isMarkedSrgb } from './colour-profile.ts'
import type { Preprocessing, Resize } from './preprocessor-config.ts'

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

/** Above it, reading a photo whole costs more than the difference is worth. */
export const defaultShrinkAbovePixels = 1_000_000

/**
 * Decodes, turns upright (EXIF), flattens transparency on white and resizes. CMYK, grey and 16-bit
 * images come out as 8-bit RGB; of an animation the first frame is taken. JPEGs and WebPs of more than
 * `shrinkAbovePixels` are shrunk while they are read: faster, and some levels off what PIL makes of
 * them. Colour profiles are applied. It runs in libuv's thread pool: hand over
 * many at once. Rejects with `image_too_large` (decided from the header) or `image_undecodable`; a
 * truncated file counts as broken.
 */
export async function decodeImage(
  file: Uint8Array,
  {
    preprocessing: { resize, kernel },
    maxPixels,
    shrinkAbovePixels = defaultShrinkAbovePixels,
    timeoutSeconds = 10,
  }: {
    preprocessing: Pick<Preprocessing, 'resize' | 'kernel'>
    maxPixels: number
    shrinkAbovePixels?: number
    timeoutSeconds?: number
  },
): Promise<DecodedImage> {
  try {
    const source = sharp(file, { limitInputPixels: maxPixels, autoOrient: true, ignoreIcc: isMarkedSrgb(file) })
    source.timeout({ seconds: timeoutSeconds })
    // libvips opens the file once more for this: 0.2 to 0.5 ms, so only where the size depends on the answer.
    const upright = resize?.fit === 'cover' ? (await source.metadata()).autoOrient : null
    const size = resize === null || upright === null ? resize : coveringSize(resize, upright)
    // Converting before anything else is what keeps libvips from shrinking while it reads.
    if (kernel === 'nearest' || !hasMorePixels(file, shrinkAbovePixels)) source.pipelineColourspace('srgb')
    source.flatten({ background: '#ffffff' })
    if (size !== null && kernel !== 'nearest') {
      source.resize({ width: size.width, height: size.height, fit: 'fill', kernel })
    }
    const { data, info } = await source.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
    if (info.channels !== 3) throw new Error(`decoded to ${info.channels} channels`)
    const image = { bytes: data, height: info.height, width: info.width }
    return size !== null && kernel === 'nearest' ? nearest(image, size) : image
  } catch (error) {
    throw imageError(error, maxPixels)
  }
}

/** PIL's choice, the pixel under the centre; libvips takes the first of each stretch. */
function nearest({ bytes, ...from }: DecodedImage, to: { width: number; height: number }): DecodedImage {
  const picked = new Uint8Array(to.width * to.height * 3)
  for (let index = 0; index < to.width * to.height; index += 1) {
    const row = Math.floor(((Math.floor(index / to.width) + 0.5) * from.height) / to.height)
    const column = Math.floor((((index % to.width) + 0.5) * from.width) / to.width)
    const at = (row * from.width + column) * 3
    picked.set(bytes.subarray(at, at + 3), index * 3)
  }
  return { bytes: picked, ...to }
}

/** By the header alone. One that isn't understood here is left to libvips, without shrinking. */
function hasMorePixels(file: Uint8Array, pixels: number): boolean {
  if (pixels === 0) return true
  try {
    // The parser copies what it is given, and nearly every header ends within the first 64 KiB.
    const header = imageDimensionsFromData(file.subarray(0, 65_536)) ?? imageDimensionsFromData(file)
    return header !== undefined && header.width * header.height > pixels
  } catch {
    return false
  }
}

/** The longest edge over the shortest of an image whose proportions are kept. */
const mostElongated = 100

/**
 * Rounded as Hugging Face does: down. Throws `image_too_large` for a strip: one pixel wide and 16,000 high, 516
 * bytes as a file, it would become 64 wide and a million high before its middle is cut out.
 */
function coveringSize(size: Resize, image: { width: number; height: number }) {
  if (Math.max(image.width, image.height) > mostElongated * Math.min(image.width, image.height)) {
    const detail = `For this model an image may be at most ${mostElongated} times as long as wide.`
    throw new VisionQueueError('image_too_large', detail)
  }
  const factor = Math.max(size.width, size.height) / Math.min(image.width, image.height)
  return image.width <= image.height
    ? { width: size.width, height: Math.floor(image.height * factor) }
    : { width: Math.floor(image.width * factor), height: size.height }
}

/** libvips' own words stay inside: they name its functions, not what the sender can do. */
function imageError(error: unknown, maxPixels: number): VisionQueueError {
  if (error instanceof VisionQueueError) return error
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

/** A PNG of one colour, white unless another is named, to warm a model up with. */
export async function blankImage(
  { width, height } = { width: 32, height: 32 },
  background = '#ffffff',
): Promise<Uint8Array> {
  return sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer()
}
