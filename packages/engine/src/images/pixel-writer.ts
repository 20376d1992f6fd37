import { VisionQueueError } from '@vision-queue/protocol'

import { toHalf } from '../onnx/half-float.ts'
import type { DecodedImage } from './image-preprocessing.ts'
import type { Preprocessing } from '@vision-queue/models'
import type { PixelArray, PixelType } from '../onnx/tensor.ts'

/**
 * What colours a tensor holds, in their order; L is grey (PIL's 0.299 R + 0.587 G + 0.114 B). A is opaque everywhere, as
 * transparency is laid on white.
 */
export type Channels = 'RGB' | 'BGR' | 'L' | 'RGBA' | 'BGRA'

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
 * where the decoded image is larger; it leaves no element of the place as it was. A byte has 256 values,
 * so the arithmetic (and the half floats) is looked up in a table made here once, and the image is walked
 * once for all channels: it happens on the thread that runs the model. The image must have passed `checkSize`.
 */
export function createPixelWriter(
  preprocessing: Preprocessing,
  layout: PixelLayout,
): (target: PixelArray, offset: number, image: DecodedImage) => void {
  const { height, width } = preprocessing
  const writeRow = layout.channels === 'L' ? greyRow(preprocessing, layout) : colourRow(preprocessing, layout)
  const step = width * (layout.layout === 'NCHW' ? 1 : layout.channels.length)
  return (target, offset, { bytes, ...image }) => {
    const top = Math.floor((image.height - height) / 2)
    const left = Math.floor((image.width - width) / 2)
    for (let row = 0; row < height; row += 1) {
      writeRow(target, offset + row * step, bytes, ((top + row) * image.width + left) * 3)
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

/** Writes the pixels of one row, from `from` in the bytes on, to `to` in the tensor and on. */
type RowWriter = (target: PixelArray, to: number, bytes: Uint8Array, from: number) => void

function colourRow(preprocessing: Preprocessing, { layout, channels, type }: PixelLayout): RowWriter {
  const { height, width } = preprocessing
  const [planeStep, pixelStep] = layout === 'NCHW' ? [height * width, 1] : [1, channels.length]
  // Where red and blue stand among the channels; green is always the middle one.
  const [first, last] = channels.startsWith('BGR') ? [2, 0] : [0, 2]
  const [red, green, blue] = [first, 1, last].map((channel) => toTable(preprocessing, channel, type))
  if (red === undefined || green === undefined || blue === undefined) throw new Error('a colour has no table')
  const opaque = channels.endsWith('A') ? (toTable(preprocessing, 3, type)[255] ?? 0) : null
  const [redAt, greenAt, blueAt] = [first * planeStep, planeStep, last * planeStep]
  return (target, start, bytes, from) => {
    let to = start
    for (let pixel = from; pixel < from + width * 3; pixel += 3) {
      target[to + redAt] = red[bytes[pixel] ?? 0] ?? 0
      target[to + greenAt] = green[bytes[pixel + 1] ?? 0] ?? 0
      target[to + blueAt] = blue[bytes[pixel + 2] ?? 0] ?? 0
      if (opaque !== null) target[to + 3 * planeStep] = opaque
      to += pixelStep
    }
  }
}

function greyRow(preprocessing: Preprocessing, { type }: PixelLayout): RowWriter {
  const table = toTable(preprocessing, 0, type)
  return (target, start, bytes, from) => {
    for (let index = 0; index < preprocessing.width; index += 1) {
      target[start + index] = table[grey(bytes, from + index * 3)] ?? 0
    }
  }
}

/** The value of each byte in a channel of the tensor. */
function toTable({ scale, shift }: Preprocessing, channel: number, type: PixelType): PixelArray {
  const factor = scale[channel] ?? scale[0] ?? 1
  const offset = shift[channel] ?? shift[0] ?? 0
  const values = Float64Array.from({ length: 256 }, (_, byte) => byte * factor + offset)
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
