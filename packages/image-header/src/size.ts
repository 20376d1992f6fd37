import { imageDimensionsFromData } from 'image-dimensions'

import { orientationOf } from './orientation.ts'

/** In pixels. */
export interface ImageSize {
  width: number
  height: number
}

/** As the pixels are stored; null where no size can be found. Reads the header only. */
export function sizeOf(file: Uint8Array): ImageSize | null {
  try {
    const size = sizeIn(file)
    if (size === undefined || size.width === 0 || size.height === 0) return null
    return { width: size.width, height: size.height }
  } catch {
    return null
  }
}

/**
 * The parser copies what it is given, and finds nothing where the header is cut off. Most headers end within the first
 * 4 KiB, and nearly all, those with a thumbnail in them too, within 64 KiB.
 */
function sizeIn(file: Uint8Array): ImageSize | undefined {
  for (const bytes of [4096, 65_536]) {
    const size = file.length > bytes ? imageDimensionsFromData(file.subarray(0, bytes)) : undefined
    if (size !== undefined) return size
  }
  return imageDimensionsFromData(file)
}

/** The size of the image as it is looked at, with EXIF's orientation applied. */
export function uprightSizeOf(file: Uint8Array): ImageSize | null {
  const size = sizeOf(file)
  return size !== null && orientationOf(file) >= 5 ? { width: size.height, height: size.width } : size
}
