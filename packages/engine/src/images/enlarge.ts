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
  if (kernel === 'nearest') throw new Error('nearest is no filter')
  if (to.width < image.width || to.height < image.height) throw new Error('an edge would become smaller')
  const wider = to.width === image.width ? image : await widen(image, to.width, taps(image.width, to.width, kernel))
  return to.height === wider.height ? wider : heighten(wider, to.height, taps(wider.height, to.height, kernel))
}

/** As many neighbours as the widest filter has. Those of others, and what lies outside of the image, weigh nothing. */
const reach = 6

/** Of each pixel of the result: its first neighbour, and the weights of this and the next ones, `reach` of them. */
interface Taps {
  from: Int32Array
  weights: Int32Array
}

/** Neighbours outside of the image don't count; the weights of the others add up to one. */
function taps(length: number, wanted: number, kernel: Exclude<ResizeKernel, 'nearest'>): Taps {
  const { support, weight } = filters[kernel]
  const all = { from: new Int32Array(wanted), weights: new Int32Array(wanted * reach) }
  for (let at = 0; at < wanted; at += 1) {
    const centre = ((at + 0.5) * length) / wanted
    const from = Math.max(0, Math.trunc(centre - support + 0.5))
    const end = Math.min(length, Math.trunc(centre + support + 0.5))
    const exact = Array.from({ length: end - from }, (_, index) => weight(index + from - centre + 0.5))
    const sum = exact.reduce((a, b) => a + b, 0)
    all.from[at] = from
    for (const [index, value] of exact.entries()) {
      const fixed = (value / sum) * 2 ** precision
      all.weights[at * reach + index] = Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5)
    }
  }
  return all
}

// Both are written out, weight by weight: a loop over them takes nearly three times as long.

async function widen({ bytes, height, width }: DecodedImage, wanted: number, of: Taps): Promise<DecodedImage> {
  const { from, weights } = of
  const result = new Uint8ClampedArray(wanted * height * 3)
  const rowsOfTurn = Math.ceil(turnOfProducts / (wanted * 3 * reach))
  let to = 0
  for (let row = 0; row < height; row += 1) {
    if (row > 0 && row % rowsOfTurn === 0) await setImmediate()
    for (let column = 0; column < wanted; column += 1) {
      const first = column * reach
      const a = weights[first] ?? 0
      const b = weights[first + 1] ?? 0
      const c = weights[first + 2] ?? 0
      const d = weights[first + 3] ?? 0
      const e = weights[first + 4] ?? 0
      const f = weights[first + 5] ?? 0
      let at = (row * width + (from[column] ?? 0)) * 3
      for (const end = to + 3; to < end; to += 1) {
        const start = Math.imul(bytes[at] ?? 0, a) + Math.imul(bytes[at + 3] ?? 0, b) + Math.imul(bytes[at + 6] ?? 0, c)
        const rest =
          Math.imul(bytes[at + 9] ?? 0, d) + Math.imul(bytes[at + 12] ?? 0, e) + Math.imul(bytes[at + 15] ?? 0, f)
        result[to] = (half + start + rest) >> precision
        at += 1
      }
    }
  }
  return { bytes: new Uint8Array(result.buffer), height, width: wanted }
}

async function heighten({ bytes, width }: DecodedImage, wanted: number, of: Taps): Promise<DecodedImage> {
  const { from, weights } = of
  const stride = width * 3
  const result = new Uint8ClampedArray(stride * wanted)
  const rowsOfTurn = Math.ceil(turnOfProducts / (stride * reach))
  let to = 0
  for (let row = 0; row < wanted; row += 1) {
    if (row > 0 && row % rowsOfTurn === 0) await setImmediate()
    const first = row * reach
    const a = weights[first] ?? 0
    const b = weights[first + 1] ?? 0
    const c = weights[first + 2] ?? 0
    const d = weights[first + 3] ?? 0
    const e = weights[first + 4] ?? 0
    const f = weights[first + 5] ?? 0
    let at = (from[row] ?? 0) * stride
    for (const end = to + stride; to < end; to += 1) {
      const start =
        Math.imul(bytes[at] ?? 0, a) + Math.imul(bytes[at + stride] ?? 0, b) + Math.imul(bytes[at + 2 * stride] ?? 0, c)
      const rest =
        Math.imul(bytes[at + 3 * stride] ?? 0, d) +
        Math.imul(bytes[at + 4 * stride] ?? 0, e) +
        Math.imul(bytes[at + 5 * stride] ?? 0, f)
      result[to] = (half + start + rest) >> precision
      at += 1
    }
  }
  return { bytes: new Uint8Array(result.buffer), height: wanted, width }
}

const half = 1 << (precision - 1)

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI)
}

/** Catmull and Rom's. */
function cubic(x: number): number {
  const from = Math.abs(x)
  if (from < 1) return (1.5 * from - 2.5) * from * from + 1
  return from < 2 ? ((-0.5 * from + 2.5) * from - 4) * from + 2 : 0
}
