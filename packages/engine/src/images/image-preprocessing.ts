import { formatOf, sizeOf } from '@vision-queue/image-header'
import { VisionQueueError } from '@vision-queue/protocol'
import sharp, { type Sharp } from 'sharp'

import { type Colours, coloursOf } from './colour-profile.ts'
import { enlarge } from './enlarge.ts'
import { repairJpeg } from './jpeg-repair.ts'
import { type Preprocessing, type Resize, type ResizeKernel, resizedSize, type Size } from '@vision-queue/models'

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

export interface DecodeOptions {
  preprocessing: Pick<Preprocessing, 'resize' | 'kernel'>
  maxPixels: number
  shrinkAbovePixels?: number
  timeoutSeconds?: number
}

/**
 * Decodes, turns upright (EXIF), flattens transparency on white and resizes. CMYK, grey and 16-bit
 * images come out as 8-bit RGB; of an animation the first frame is taken. JPEGs and WebPs of more than
 * `shrinkAbovePixels` are shrunk while they are read: faster, and some levels off what PIL makes of
 * them. Colour profiles are applied, above it and below. It runs in libuv's thread pool: hand over
 * many at once. Rejects with `image_too_large` (decided from the header) or `image_undecodable`; a
 * truncated file counts as broken.
 */
export async function decodeImage(file: Uint8Array, options: DecodeOptions): Promise<DecodedImage> {
  try {
    return await decode(file, options)
  } catch (error) {
    const refusal = imageError(error, options.maxPixels)
    // libvips' messages don't tell which complaint it was: they are shared by all threads.
    const repaired = refusal.code === 'image_undecodable' ? repairJpeg(file) : null
    if (repaired === null) throw refusal
    return await decode(repaired, options).catch(() => {
      throw refusal
    })
  }
}

async function decode(
  file: Uint8Array,
  {
    preprocessing: { resize, kernel },
    maxPixels,
    shrinkAbovePixels = defaultShrinkAbovePixels,
    timeoutSeconds = 10,
  }: DecodeOptions,
): Promise<DecodedImage> {
  const { kind, isMarkedSrgb } = coloursOf(file)
  const source = sharp(file, { limitInputPixels: maxPixels, autoOrient: true, ignoreIcc: isMarkedSrgb })
  source.timeout({ seconds: timeoutSeconds })
  const size = resize === null ? null : await sizeFor(resize, source)
  if (!isShrunk(file, shrinkAbovePixels)) await readWhole(source, kind)
  source.flatten({ background: '#ffffff' })
  return readSized(source, size, kernel)
}

/** An image that is decoded already, in another size. */
export async function resizeDecoded(image: DecodedImage, size: Size, kernel: ResizeKernel): Promise<DecodedImage> {
  if (image.width === size.width && image.height === size.height) return image
  const raw = { width: image.width, height: image.height, channels: 3 } as const
  return readSized(sharp(image.bytes, { raw }), size, kernel)
}

/** libvips makes edges smaller, we make them larger; see `enlarge`. */
async function readSized(source: Sharp, size: Size | null, kernel: ResizeKernel): Promise<DecodedImage> {
  if (size !== null && kernel !== 'nearest') {
    source.resize({ width: size.width, height: size.height, fit: 'fill', kernel, withoutEnlargement: true })
  }
  const { data, info } = await source.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  if (info.channels !== 3) throw new Error(`decoded to ${info.channels} channels`)
  const image = { bytes: data, height: info.height, width: info.width }
  if (size === null) return image
  return kernel === 'nearest' ? nearest(image, size) : enlarge(image, size, kernel)
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

/** Whether libvips may shrink it while it reads; by the header alone. A PNG it never does. */
function isShrunk(file: Uint8Array, abovePixels: number): boolean {
  if (formatOf(file) === 'png') return false
  const size = sizeOf(file)
  return abovePixels === 0 || (size !== null && size.width * size.height > abovePixels)
}

/**
 * Keeps libvips from shrinking while it reads, and makes 8 bits of 16. Asking for a colour space does both. It has to
 * be the one that the image has: profiles are applied after it, and a grey one doesn't fit if grey has become RGB. For
 * CMYK libvips would then leave the profile out, so that the whole image is cut out instead.
 */
async function readWhole(source: Sharp, kind: Colours['kind']): Promise<void> {
  if (kind !== 'cmyk') {
    source.pipelineColourspace(kind === 'grey' ? 'b-w' : 'srgb')
    return
  }
  const { autoOrient } = await source.metadata()
  source.extract({ left: 0, top: 0, width: autoOrient.width, height: autoOrient.height })
}

/** The longest edge over the shortest of an image whose proportions are kept. */
const mostElongated = 100

/**
 * The size by the rule. Throws `image_too_large` for a strip whose proportions are kept: one pixel wide and 16,000 high,
 * 516 bytes as a file, it would become 64 wide and a million high before its middle is cut out.
 */
async function sizeFor(resize: Resize, source: Sharp): Promise<Size> {
  if (resize.fit === 'fill') return resizedSize(resize, resize)
  // libvips opens the file once more for this: 0.2 to 0.5 ms, so only where the size depends on the answer.
  const { autoOrient: image } = await source.metadata()
  checkProportions(image)
  return resizedSize(resize, image)
}

/** Throws `image_too_large` for a strip of more than these proportions. */
export function checkProportions({ height, width }: Size, most = mostElongated): void {
  if (Math.max(width, height) <= most * Math.min(width, height)) return
  throw new VisionQueueError('image_too_large', `For this model an image may be at most ${most} times as long as wide.`)
}

/** libvips' own words stay inside: they name its functions, not what the sender can do. */
function imageError(error: unknown, maxPixels: number): VisionQueueError {
  if (error instanceof VisionQueueError) return error
  const message = error instanceof Error ? error.message : ''
  if (message.includes('exceeds pixel limit')) return tooManyPixels(maxPixels, { cause: error })
  if (message.includes('timeout')) {
    return new VisionQueueError('image_undecodable', 'The image takes too long to decode.', { cause: error })
  }
  if (message.includes('unsupported image format')) return unknownFormat({ cause: error })
  return new VisionQueueError('image_undecodable', 'The image is broken or truncated.', { cause: error })
}

export function tooManyPixels(most: number, options: ErrorOptions = {}): VisionQueueError {
  return new VisionQueueError('image_too_large', `The image has more than ${most} pixels.`, options)
}

export function unknownFormat(options: ErrorOptions = {}): VisionQueueError {
  return new VisionQueueError('image_undecodable', 'The image is no JPEG, PNG or WebP.', options)
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
