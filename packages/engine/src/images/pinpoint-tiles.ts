import type { Size, Tiling } from '@vision-queue/models'

import { cutTiles, layOnGround } from './canvas.ts'
import { otherRule, type PieceRule, type PinpointsPlan, plannedSizes, type WantedDetail } from './image-plan.ts'
import { type PieceFormat, toPieces } from './pixel-piece.ts'
import { resizeDecoded } from './image-preprocessing.ts'
import type { ImageSquare } from './image-square.ts'

/** 12 MB. */
const mostHeldPixels = 4 * 1024 * 1024

type Pinpoints = Extract<Tiling, { rule: 'pinpoints' }>

/**
 * LLaVA-NeXT's and -OneVision's rule ("anyres"), as their processors compute it. Of the resolutions that the model knows the
 * best one is chosen; the image is made to fit into it, laid in its middle on black, and cut into tiles. Before them comes
 * the whole image, stretched to one tile.
 */
export function pinpointTiles(
  { tile, resolutions, squaresSeveral }: Pinpoints,
  format: PieceFormat,
  square: ImageSquare,
): PieceRule {
  const base = { height: tile, width: tile }

  function plan(original: Size, { detail, maxPixels = Infinity, hasOthers = false }: WantedDetail): PinpointsPlan {
    const squares = squaresSeveral && hasOthers
    const allowed = resolutions.filter(({ height, width }) => height * width <= maxPixels)
    const best = detail === 'low' || squares ? null : bestOf(allowed, original)
    if (best === null) {
      const used = squares ? square.sizeOf(original) : base
      const key = `pinpoints ${used.width}x${used.height}${squares ? ' squared' : ''}`
      return { rule: 'pinpoints', ...plannedSizes(original, used), rows: 0, columns: 0, squares, pieces: 1, key }
    }
    const used = within(original, best)
    const [rows, columns] = [best.height / tile, best.width / tile]
    const key = `pinpoints ${used.width}x${used.height} ${columns}x${rows}`
    const pieces = rows * columns + 1
    return { rule: 'pinpoints', ...plannedSizes(original, used), rows, columns, squares, pieces, key }
  }

  const read: PieceRule['read'] = async (decode, planned) => {
    if (planned.rule !== 'pinpoints') throw otherRule(planned)
    const { original, rows, columns, used, squares } = planned
    if (squares) return toPieces([await square.read(decode, original)], format)
    if (rows === 0) return toPieces([await decode(base)], format)
    // Both sizes are made of the image itself where that is small enough to be held; of a larger one the smaller size is
    // made of the larger size, lest it be decoded twice.
    const isHeld = original.height * original.width <= mostHeldPixels
    const source = await decode(isHeld ? null : used)
    const whole = await resizeDecoded(source, base, format.kernel)
    const canvas = { height: rows * tile, width: columns * tile }
    const laid = layOnGround(await resizeDecoded(source, used, format.kernel), canvas, [0, 0, 0])
    return toPieces([whole, ...cutTiles(laid, base)], format)
  }

  return { rule: 'pinpoints', pieceDims: [3, tile, tile], plan, read }
}

/** The resolution in which most of the image's pixels are kept; of several the one with least around them, and of these the first. */
function bestOf(resolutions: readonly Size[], image: Size): Size | null {
  let best: Size | null = null
  let [mostKept, leastWasted] = [0, Infinity]
  for (const resolution of resolutions) {
    const { height, width } = resolution
    const scale = Math.min(width / image.width, height / image.height)
    const shown = Math.trunc(image.width * scale) * Math.trunc(image.height * scale)
    const kept = Math.min(shown, image.width * image.height)
    const wasted = height * width - kept
    if (kept > mostKept || (kept === mostKept && wasted < leastWasted)) {
      ;[best, mostKept, leastWasted] = [resolution, kept, wasted]
    }
  }
  return best
}

/** As large as fits into the resolution; the edge that doesn't fill it is rounded up. */
function within(image: Size, { height, width }: Size): Size {
  const [byWidth, byHeight] = [width / image.width, height / image.height]
  return byWidth < byHeight
    ? { height: Math.min(Math.ceil(image.height * byWidth), height), width }
    : { height, width: Math.min(Math.ceil(image.width * byHeight), width) }
}
