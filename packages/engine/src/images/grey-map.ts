import sharp from 'sharp'

/** A value for each cell of a graph's output, row by row. */
export interface GreyMap {
  width: number
  height: number
  /** Bytes, or 16 bits. */
  values: Uint8Array | Uint16Array
}

/** Where a map lies in the image that is made of it, in pixels. Outside of it the image is black. */
export interface MapPlace {
  width: number
  height: number
  left: number
  top: number
  spanX: number
  spanY: number
}

/**
 * A grey PNG of `place.width` x `place.height`, with the map stretched (bilinear) over its place. `threshold`: what is
 * below it becomes 0, all else 255; null: the values as they are.
 */
export async function toGreyPng(map: GreyMap, place: MapPlace, threshold: number | null = null): Promise<Buffer> {
  const is16Bit = map.values instanceof Uint16Array
  const { width, height } = map
  const raw = sharp(map.values, { raw: { width, height, channels: 1 } })
  const spanX = Math.max(1, Math.round(place.spanX))
  const spanY = Math.max(1, Math.round(place.spanY))
  raw.resize({ width: spanX, height: spanY, fit: 'fill', kernel: 'linear' }).toColourspace(is16Bit ? 'grey16' : 'b-w')
  if (threshold !== null) raw.threshold(threshold)
  const left = Math.round(place.left)
  const top = Math.round(place.top)
  if (left === 0 && top === 0 && spanX === place.width && spanY === place.height) return raw.png().toBuffer()
  return cutOrExtend(await raw.png({ compressionLevel: 0 }).toBuffer(), { ...place, left, top, spanX, spanY }, is16Bit)
}

/** Of a stretched map what lies in the image, with black around it. */
async function cutOrExtend(png: Buffer, place: MapPlace, is16Bit: boolean): Promise<Buffer> {
  const { left, top } = place
  const right = place.width - left - place.spanX
  const bottom = place.height - top - place.spanY
  const cut = sharp(png).extract({
    left: Math.max(0, -left),
    top: Math.max(0, -top),
    width: place.spanX + Math.min(0, left) + Math.min(0, right),
    height: place.spanY + Math.min(0, top) + Math.min(0, bottom),
  })
  const around = {
    left: Math.max(0, left),
    top: Math.max(0, top),
    right: Math.max(0, right),
    bottom: Math.max(0, bottom),
  }
  return cut
    .extend({ ...around, background: '#000000' })
    .toColourspace(is16Bit ? 'grey16' : 'b-w')
    .png()
    .toBuffer()
}
