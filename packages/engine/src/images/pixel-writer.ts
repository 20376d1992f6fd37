import { VisionQueueError } from '@vision-queue/protocol'

import { toHalf } from '../onnx/half-float.ts'
import type { DecodedImage } from './image-preprocessing.ts'
import { type Preprocessing, roundEven, type Size } from '@vision-queue/models'
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

export function pixelDims({ layout, channels }: PixelLayout, { height, width }: Size): number[] {
  return layout === 'NCHW' ? [channels.length, height, width] : [height, width, channels.length]
}

/** The size of an image's tensor. */
export function tensorSize({ varies, height, width }: Preprocessing, image: Size): Size {
  return varies ? { height: image.height, width: image.width } : { height, width }
}

/** Where an image lies in its tensor: below 0 where it is cropped. */
export function placeOf(preprocessing: Preprocessing, image: Size): { top: number; left: number } {
  const tensor = tensorSize(preprocessing, image)
  const { padding, cropRounds } = preprocessing
  const place = (of: 'height' | 'width'): number => {
    const free = tensor[of] - image[of]
    if (padding !== null) return padding.at === 'corner' ? 0 : Math.floor(free / 2)
    return -(cropRounds === 'even' ? roundEven(-free / 2) : Math.floor(-free / 2))
  }
  return { top: place('height'), left: place('width') }
}

/**
 * A function that writes an image into its place of a batch tensor, scaled, cropped from the centre where the decoded
 * image is larger, and with the ground around it where it is smaller; it leaves no element of the place as it was. A
 * byte has 256 values, so the arithmetic (and the half floats) is looked up in a table made here once, and the image is
 * walked once for all channels: it happens on the thread that runs the model. The image must have passed `checkSize`.
 */
export function createPixelWriter(
  preprocessing: Preprocessing,
  layout: PixelLayout,
): (target: PixelArray, offset: number, image: DecodedImage) => void {
  const writeRow = layout.channels === 'L' ? greyRow(preprocessing, layout) : colourRow(preprocessing, layout)
  const pixelStep = layout.layout === 'NCHW' ? 1 : layout.channels.length
  const lay = preprocessing.padding === null ? null : groundLayer(preprocessing, layout)
  return (target, offset, { bytes, ...image }) => {
    const tensor = tensorSize(preprocessing, image)
    const { top, left } = placeOf(preprocessing, image)
    lay?.(target, offset, tensor)
    const rows = Math.min(image.height, tensor.height)
    const [fromRow, toRow] = [Math.max(0, -top), Math.max(0, top)]
    const [fromColumn, toColumn] = [Math.max(0, -left), Math.max(0, left)]
    const place = { count: Math.min(image.width, tensor.width), planeStep: tensor.height * tensor.width }
    for (let row = 0; row < rows; row += 1) {
      const to = offset + ((toRow + row) * tensor.width + toColumn) * pixelStep
      writeRow(target, to, bytes, { ...place, from: ((fromRow + row) * image.width + fromColumn) * 3 })
    }
  }
}

/** Throws `invalid_input` for an image of another size than the tensor's, which only a model that doesn't resize meets. */
export function checkSize({ height, width, crop, varies, padding }: Preprocessing, image: DecodedImage): void {
  if (varies) return
  if (padding !== null && image.height <= height && image.width <= width) return
  const fits = crop ? image.height >= height && image.width >= width : image.height === height && image.width === width
  if (fits) return
  const size = `${width} x ${height} pixels`
  throw new VisionQueueError('invalid_input', `This model takes images of ${crop ? 'at least ' : ''}${size} only.`)
}

/** So many pixels of a row, from `from` in the bytes on; in a tensor of planes these are `planeStep` apart. */
interface RowPart {
  from: number
  count: number
  planeStep: number
}

/** Writes the pixels of one row to `to` in the tensor and on. */
type RowWriter = (target: PixelArray, to: number, bytes: Uint8Array, part: RowPart) => void

function colourRow(preprocessing: Preprocessing, { layout, channels, type }: PixelLayout): RowWriter {
  const pixelStep = layout === 'NCHW' ? 1 : channels.length
  // Where red and blue stand among the channels; green is always the middle one.
  const [first, last] = channels.startsWith('BGR') ? [2, 0] : [0, 2]
  const [red, green, blue] = [first, 1, last].map((channel) => toTable(preprocessing, channel, type))
  if (red === undefined || green === undefined || blue === undefined) throw new Error('a colour has no table')
  const opaque = channels.endsWith('A') ? (toTable(preprocessing, 3, type)[255] ?? 0) : null
  return (target, start, bytes, { from, count, planeStep }) => {
    const channelStep = layout === 'NCHW' ? planeStep : 1
    const [redAt, blueAt] = [first * channelStep, last * channelStep]
    let to = start
    for (let pixel = from; pixel < from + count * 3; pixel += 3) {
      target[to + redAt] = red[bytes[pixel] ?? 0] ?? 0
      target[to + channelStep] = green[bytes[pixel + 1] ?? 0] ?? 0
      target[to + blueAt] = blue[bytes[pixel + 2] ?? 0] ?? 0
      if (opaque !== null) target[to + 3 * channelStep] = opaque
      to += pixelStep
    }
  }
}

function greyRow(preprocessing: Preprocessing, { type }: PixelLayout): RowWriter {
  const table = toTable(preprocessing, 0, type)
  return (target, start, bytes, { from, count }) => {
    for (let index = 0; index < count; index += 1) {
      target[start + index] = table[grey(bytes, from + index * 3)] ?? 0
    }
  }
}

/** Writes the ground of the whole tensor. */
function groundLayer(preprocessing: Preprocessing, { layout, channels, type }: PixelLayout) {
  const isBlack = preprocessing.padding?.ground === 'black'
  const values = Array.from(channels, (_, channel) => (isBlack ? (toTable(preprocessing, channel, type)[0] ?? 0) : 0))
  return (target: PixelArray, offset: number, { height, width }: Size): void => {
    const pixels = height * width
    for (const [channel, value] of values.entries()) {
      if (layout === 'NCHW') target.fill(value, offset + channel * pixels, offset + (channel + 1) * pixels)
      else for (let pixel = 0; pixel < pixels; pixel += 1) target[offset + pixel * values.length + channel] = value
    }
  }
}

/** The value of each byte in a channel of the tensor. */
export function toTable(
  { scale, shift }: Pick<Preprocessing, 'scale' | 'shift'>,
  channel: number,
  type: PixelType,
): PixelArray {
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
