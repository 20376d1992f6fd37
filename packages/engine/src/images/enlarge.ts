import { setImmediate } from 'node:timers/promises'

import type { ResizeKernel, Size } from '@vision-queue/models'

import type { DecodedImage } from './image-preprocessing.ts'

/** Filters by PIL's definitions, and how far they reach, in pixels of the smaller image. */
const filters = {
  linear: { support: 1, weight: (x: number) => Math.max(0, 1 - Math.abs(x)) },
  cubic: { support: 2, weight: cubic },
  lanczos3: { support: 3, weight: (x: number) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
}

/** PIL counts in integers of so many bits behind the point. */
const precision = 22
/** So many multiplications take a few milliseconds, after which others have their turn on this thread. */
const turnOfProducts = 3_000_000

/**
 * An image made larger, each pixel as PIL computes it. libvips can't: it enlarges by another filter (cubic for Lanczos) and
 * half a pixel of the result off the place. An edge that is to be smaller is not this function's; both may stay as they are.
 */
export async function enlarge(image: DecodedImage, to: Size, kernel: ResizeKernel): Promise<DecodedImage> {
  if (kernel === 'nearest') throw new Error('nearest is not a filter')
  if (to.width < image.width || to.height < image.height) throw new Error('an edge would become smaller')
  const wider = to.width === image.width ? image : await widen(image, to.width, taps(image.width, to.width, kernel))
  return to.height === wider.height ? wider : heighten(wider, to.height, taps(wider.height, to.height, kernel))
}

/** Of each pixel of the result: where its neighbours begin, how many there are, and their weights, `reach` apart. */
interface Taps {
  reach: number
  from: Int32Array
  count: Int32Array
  weights: Int32Array
}

/** Neighbours outside of the image don't count; the weights of the others add up to one. */
function taps(length: number, wanted: number, kernel: Exclude<ResizeKernel, 'nearest'>): Taps {
  const { support, weight } = filters[kernel]
  const reach = support * 2 + 1
  const all = { reach, from: new Int32Array(wanted), count: new Int32Array(wanted) }
  const weights = new Int32Array(wanted * reach)
  for (let at = 0; at < wanted; at += 1) {
    const centre = ((at + 0.5) * length) / wanted
    const from = Math.max(0, Math.trunc(centre - support + 0.5))
    const end = Math.min(length, Math.trunc(centre + support + 0.5))
    const exact = Array.from({ length: end - from }, (_, index) => weight(index + from - centre + 0.5))
    const sum = exact.reduce((a, b) => a + b, 0)
    all.from[at] = from
    all.count[at] = exact.length
    for (const [index, value] of exact.entries()) {
      const fixed = (value / sum) * 2 ** precision
      weights[at * reach + index] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5)
    }
  }
  return { ...all, weights }
}

async function widen({ bytes, height, width }: DecodedImage, wanted: number, of: Taps): Promise<DecodedImage> {
  const { reach, from, count, weights } = of
  const result = new Uint8Array(wanted * height * 3)
  const rowsOfTurn = Math.ceil(turnOfProducts / (wanted * 3 * reach))
  for (let row = 0; row < height; row += 1) {
    if (row > 0 && row % rowsOfTurn === 0) await setImmediate()
    let to = row * wanted * 3
    for (let column = 0; column < wanted; column += 1) {
      let red = half
      let green = half
      let blue = half
      let pixel = (row * width + (from[column] ?? 0)) * 3
      const first = column * reach
      const end = first + (count[column] ?? 0)
      for (let tap = first; tap < end; tap += 1) {
        const weight = weights[tap] ?? 0
        red += Math.imul(bytes[pixel] ?? 0, weight)
        green += Math.imul(bytes[pixel + 1] ?? 0, weight)
        blue += Math.imul(bytes[pixel + 2] ?? 0, weight)
        pixel += 3
      }
      result[to] = toByte(red)
      result[to + 1] = toByte(green)
      result[to + 2] = toByte(blue)
      to += 3
    }
  }
  return { bytes: result, height, width: wanted }
}

async function heighten({ bytes, width }: DecodedImage, wanted: number, of: Taps): Promise<DecodedImage> {
  const { reach, from, count, weights } = of
  const stride = width * 3
  const result = new Uint8Array(stride * wanted)
  const sums = new Int32Array(stride)
  const rowsOfTurn = Math.ceil(turnOfProducts / (stride * reach))
  for (let row = 0; row < wanted; row += 1) {
    if (row > 0 && row % rowsOfTurn === 0) await setImmediate()
    sums.fill(half)
    for (let tap = 0; tap < (count[row] ?? 0); tap += 1) {
      const weight = weights[row * reach + tap] ?? 0
      const start = ((from[row] ?? 0) + tap) * stride
      for (let at = 0; at < stride; at += 1) sums[at] = (sums[at] ?? 0) + Math.imul(bytes[start + at] ?? 0, weight)
    }
    for (let at = 0; at < stride; at += 1) result[row * stride + at] = toByte(sums[at] ?? 0)
  }
  return { bytes: result, height: wanted, width }
}

const half = 1 << (precision - 1)

function toByte(sum: number): number {
  const value = sum >> precision
  return value < 0 ? 0 : value > 255 ? 255 : value
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI)
}

/** Catmull and Rom's. */
function cubic(x: number): number {
  const from = Math.abs(x)
  if (from < 1) return (1.5 * from - 2.5) * from * from + 1
  return from < 2 ? ((-0.5 * from + 2.5) * from - 4) * from + 2 : 0
}
