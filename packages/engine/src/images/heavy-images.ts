import { partsOf, sizeOf } from '@vision-queue/image-header'

/** Above so many bytes that a decoder holds at a time an image is heavy, unless a setting says otherwise. */
export const defaultHeavyImageBytes = 128 * 1024 * 1024

/**
 * Decodes heavy images, those of which the decoder holds more than `heavyBytes`, one at a time and all others at once. A progressive JPEG or an interlaced PNG of 49 million
 * pixels takes seconds and some hundred megabytes, and as many of them as there are threads would keep everybody
 * else's images waiting.
 */
export function createHeavyTurns(
  heavyBytes = defaultHeavyImageBytes,
): <T>(file: Uint8Array, decode: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return async (file, decode) => {
    if (heldBytesOf(file) <= heavyBytes) return decode()
    const turn = last.then(decode)
    last = turn.catch(() => {})
    return turn
  }
}

/**
 * What a decoder has to hold of the image before it knows its first row, by the header: of a progressive JPEG all
 * coefficients, of two bytes each, of an interlaced PNG and a lossless WebP all pixels. Others are read row by row.
 */
export function heldBytesOf(file: Uint8Array): number {
  const size = sizeOf(file)
  if (size === null) return 0
  const pixels = size.width * size.height
  for (const { name, content } of partsOf(file)) {
    // ISO/IEC 10918-1, table B.1: the second of each four is progressive.
    if (name.startsWith('SOF'))
      return ['SOF2', 'SOF6', 'SOF10', 'SOF14'].includes(name) ? pixels * (content[5] ?? 0) * 2 : 0
    if (name === 'VP8L') return pixels * 4
    if (name === 'IHDR') return content[12] === 1 ? pixels * pngPixelBytes(content) : 0
  }
  return 0
}

/** PNG specification, 11.2.1. libvips unpacks palettes to RGB. */
function pngPixelBytes(header: Buffer): number {
  const channels = { 0: 1, 2: 3, 3: 3, 4: 2, 6: 4 }[header[9] ?? 0] ?? 0
  return header[8] === 16 ? channels * 2 : channels
}
