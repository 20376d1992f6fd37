import type { Size, Tiling } from '@vision-queue/models'

import { cutTiles } from './canvas.ts'
import { otherRule, type PieceRule, plannedSizes, type SplitPlan, type WantedDetail } from './image-plan.ts'
import { resizeDecoded } from './image-preprocessing.ts'
import { type PieceFormat, toPieces } from './pixel-piece.ts'

type Split = Extract<Tiling, { rule: 'split' }>

/**
 * Idefics3's and SmolVLM's rule, as their processors compute it. The longer edge becomes `longest`, of small images too.
 * Both edges are then stretched to multiples of the tile's, and the image is cut. The whole image comes last, as one more
 * tile. With a tile of 512 and 2048 as the longest edge an image of 4:3 has 4 x 3 tiles and the whole.
 */
export function splitTiles({ tile, longest, splits }: Split, format: PieceFormat): PieceRule {
  const square = { height: tile, width: tile }
  if (!splits) return wholeOnly({ height: longest, width: longest }, format)

  function plan(original: Size, wanted: WantedDetail): SplitPlan {
    const used = scaled(original, chooseLongest(original, wanted))
    const canvas = stretched(used, tile)
    const isOne = canvas.height === tile && canvas.width === tile
    const [rows, columns] = isOne ? [0, 0] : [canvas.height / tile, canvas.width / tile]
    const key = `split ${used.width}x${used.height} ${columns}x${rows}`
    return { rule: 'split', ...plannedSizes(original, used), rows, columns, pieces: rows * columns + 1, key }
  }

  /** The largest multiple of the tile's edge, up to the model's own longest, with which the tiles have few enough pixels. */
  function chooseLongest(original: Size, { detail, maxPixels = Infinity }: WantedDetail): number {
    if (detail === 'low') return Math.min(tile, longest)
    let edge = longest
    while (edge > tile && areaOf(stretched(scaled(original, edge), tile)) > maxPixels) {
      edge = Math.max(tile, (Math.ceil(edge / tile) - 1) * tile)
    }
    return edge
  }

  const read: PieceRule['read'] = async (decode, planned) => {
    if (planned.rule !== 'split') throw otherRule(planned)
    const { rows, columns, used } = planned
    const canvas = { height: Math.max(1, rows) * tile, width: Math.max(1, columns) * tile }
    // Resized three times over, each time from what the time before gave: the original does so, and its models know no other.
    const image = await resizeDecoded(await decode(used), canvas, format.kernel)
    const whole = await resizeDecoded(image, square, format.kernel)
    return toPieces(rows === 0 ? [whole] : [...cutTiles(image, square), whole], format)
  }

  return { rule: 'split', pieceDims: [3, tile, tile], plan, read }
}

/** Images that aren't cut are laid into the corner of a square, and a mask says which pixels are theirs. */
function wholeOnly(square: Size, format: PieceFormat): PieceRule {
  return {
    rule: 'split',
    pieceDims: [3, square.height, square.width],
    plan: (original) => {
      const used = scaled(original, square.height)
      const key = `split ${used.width}x${used.height}`
      return { rule: 'split', ...plannedSizes(original, used), rows: 0, columns: 0, pieces: 1, key }
    },
    read: async (decode, { used }) => toPieces([await decode(used)], format, square),
  }
}

/** The longer edge becomes `longest`, the other follows, cut down, and odd ones are made even. */
function scaled({ height, width }: Size, longest: number): Size {
  const proportions = width / height
  const other = Math.trunc(width >= height ? longest / proportions : longest * proportions)
  const even = Math.max(1, other + (other % 2))
  return width >= height ? { height: even, width: longest } : { height: longest, width: even }
}

/** Both edges become multiples of the tile's, the longer one first. */
function stretched({ height, width }: Size, tile: number): Size {
  const proportions = width / height
  const up = (edge: number): number => Math.max(1, Math.ceil(edge / tile)) * tile
  if (width >= height) {
    const longer = up(width)
    return { height: up(Math.trunc(longer / proportions)), width: longer }
  }
  const longer = up(height)
  return { height: longer, width: up(Math.trunc(longer * proportions)) }
}

function areaOf({ height, width }: Size): number {
  return height * width
}
