import { VisionQueueError } from '@vision-queue/jobs'

import { toHalf } from './half-float.ts'
import type { DecodedImage } from './image-preprocessing.ts'
import type { Preprocessing } from './preprocessor-config.ts'
import type { PixelArray, PixelType } from './tensor.ts'

/** What colours a tensor holds, in their order; L is grey (PIL's 0.299 R + 0.587 G + 0.114 B). */
export type Channels = 'RGB' | 'BGR' | 'L'

/** How a tensor of one image is laid out: ``NCHW`` [channels, height, width] or ``NHWC`` [height, width, channels]. */
export interface PixelLayout {
  layout: 'NCHW' | 'NHWC'
  channels: Channels
  type: PixelType
}

export function pixelDims({ layout, channels }: PixelLayout, { height, width }: Preprocessing): number[] {
  return layout === 'NCHW' ? [channels.length, height, width] : [height, width, channels.length]
}

/**
 * A function that writes an image into its place of a batch tensor, scaled, and cropped from the centre
 * where the decoded image is larger. A byte has 256 values, so the arithmetic (and the half floats)
 * is looked up in a table made here once. The image must have passed `checkSize`.
 */
export function createPixelWriter(
  preprocessing: Preprocessing,
  layout: PixelLayout,
): (target: PixelArray, offset: number, image: DecodedImage) => void {
  const { height, width } = preprocessing
  const channels = channelTables(preprocessing, layout)
  const [planeStep, pixelStep] = layout.layout === 'NCHW' ? [height * width, 1] : [1, channels.length]
  return (target, offset, { bytes, ...image }) => {
    const top = Math.floor((image.height - height) / 2)
    const left = Math.floor((image.width - width) / 2)
    for (const [index, { table, source }] of channels.entries()) {
      let to = offset + index * planeStep
      for (let row = 0; row < height; row += 1) {
        const from = ((top + row) * image.width + left) * 3
        const end = from + width * 3
        for (let pixel = from; pixel < end; pixel += 3) {
          const byte = source === null ? grey(bytes, pixel) : (bytes[pixel + source] ?? 0)
          target[to] = table[byte] ?? 0
          to += pixelStep
        }
      }
    }
  }
}

/** Throws `invalid_input` for an image of another size than the tensor's, which only a model that doesn't resize meets. */
export function checkSize({ height, width, crop }: Preprocessing, image: DecodedImage): void {
  const fits = crop ? image.height >= height && image.width >= width : image.height === height && image.width === width
  if (fits) return
  const size = `${width} x ${height} pixels`
  throw new VisionQueueError('invalid_input', `This model takes images of ${crop ? 'at least ' : ''}${size} only.`)
}

/** The value of each byte in each channel of the tensor, and which byte of an RGB pixel it is of; null: of its grey. */
function channelTables({ scale, shift }: Preprocessing, { channels, type }: PixelLayout) {
  const sources = { RGB: [0, 1, 2], BGR: [2, 1, 0], L: [null] }[channels]
  return sources.map((source, index) => {
    const factor = scale[index] ?? scale[0] ?? 1
    const offset = shift[index] ?? shift[0] ?? 0
    const values = Float64Array.from({ length: 256 }, (_, byte) => byte * factor + offset)
    return { source, table: toTable(values, type) }
  })
}

function toTable(values: Float64Array, type: PixelType): PixelArray {
  switch (type) {
    case 'float32':
      return Float32Array.from(values)
    case 'float16':
      return Uint16Array.from(values, toHalf)
    case 'uint8':
      return Uint8Array.from(values, (value) => Math.min(255, Math.max(0, Math.round(value))))
    default:
      return type satisfies never
  }
}

/** PIL's grey, in its fixed-point arithmetic. */
function grey(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) * 19595 + (bytes[at + 1] ?? 0) * 38470 + (bytes[at + 2] ?? 0) * 7471 + 0x8000) >> 16
}
