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
    // The parser copies what it is given, and nearly every header ends within the first 64 KiB.
    const size = imageDimensionsFromData(file.subarray(0, 65_536)) ?? imageDimensionsFromData(file)
    if (size === undefined || size.width === 0 || size.height === 0) return null
    return { width: size.width, height: size.height }
  } catch {
    return null
  }
}

/** The size of the image as it is looked at, with EXIF's orientation applied. */
export function uprightSizeOf(file: Uint8Array): ImageSize | null {
  const size = sizeOf(file)
  return size !== null && orientationOf(file) >= 5 ? { width: size.height, height: size.width } : size
}
