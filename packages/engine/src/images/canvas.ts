import type { Size } from '@vision-queue/models'

import type { DecodedImage } from './image-preprocessing.ts'

/** A part of an image, copied out of it. */
export function cut({ bytes, width }: DecodedImage, at: { top: number; left: number }, size: Size): DecodedImage {
  const part = new Uint8Array(size.width * size.height * 3)
  for (let row = 0; row < size.height; row += 1) {
    const from = ((at.top + row) * width + at.left) * 3
    part.set(bytes.subarray(from, from + size.width * 3), row * size.width * 3)
  }
  return { bytes: part, ...size }
}

/** All tiles of an image, row by row. */
export function cutTiles(image: DecodedImage, tile: Size): DecodedImage[] {
  const tiles: DecodedImage[] = []
  for (let top = 0; top < image.height; top += tile.height) {
    for (let left = 0; left < image.width; left += tile.width) tiles.push(cut(image, { top, left }, tile))
  }
  return tiles
}

/** An image in the middle of a larger ground of one colour; where that can't be, half a pixel to the left and up. */
export function layOnGround(image: DecodedImage, size: Size, colour: readonly number[]): DecodedImage {
  const bytes = new Uint8Array(size.width * size.height * 3)
  if (colour.some((value) => value > 0)) {
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = colour[at % 3] ?? 0
  }
  const [top, left] = [Math.floor((size.height - image.height) / 2), Math.floor((size.width - image.width) / 2)]
  for (let row = 0; row < image.height; row += 1) {
    const from = row * image.width * 3
    bytes.set(image.bytes.subarray(from, from + image.width * 3), ((top + row) * size.width + left) * 3)
  }
  return { bytes, ...size }
}
