import { type Preprocessing, resizedSize } from '@vision-queue/models'

import { type PieceRule, plannedSizes } from './image-plan.ts'
import { checkProportions } from './image-preprocessing.ts'
import type { ImageSquare } from './image-square.ts'
import { type PieceFormat, toPieces } from './pixel-piece.ts'
import { checkSize, createPixelWriter, pixelDims, tensorSize } from './pixel-writer.ts'

/** One tensor an image, prepared as for a task that takes one. */
export function wholeImage(preprocessing: Preprocessing, format: PieceFormat): PieceRule {
  const { resize, varies } = preprocessing
  const layout = { layout: 'NCHW', channels: format.isBgr ? 'BGR' : 'RGB', type: format.type } as const
  const write = createPixelWriter(preprocessing, layout)
  return {
    rule: 'whole',
    pieceDims: varies ? [3, null, null] : pixelDims(layout, preprocessing),
    plan(original) {
      if (resize !== null && resize.fit !== 'fill') checkProportions(original)
      const used = resize === null ? original : resizedSize(resize, original)
      const key = `whole ${used.width}x${used.height}`
      return { rule: 'whole', ...plannedSizes(original, used), pieces: 1, key }
    },
    async read(decode, { used }) {
      const image = await decode(resize === null ? null : used)
      checkSize(preprocessing, image)
      return [
        {
          dims: pixelDims(layout, tensorSize(preprocessing, image)),
          type: format.type,
          write: (target, offset) => {
            write(target, offset, image)
          },
          mask: null,
        },
      ]
    },
  }
}

/** One tensor an image, which lies on a square of its model's mean colour. */
export function squaredImage(edge: number, square: ImageSquare, format: PieceFormat): PieceRule {
  return {
    rule: 'whole',
    pieceDims: [3, edge, edge],
    plan(original) {
      const used = square.sizeOf(original)
      const key = `whole ${used.width}x${used.height} squared`
      return { rule: 'whole', ...plannedSizes(original, used), pieces: 1, key }
    },
    read: async (decode, { original }) => toPieces([await square.read(decode, original)], format),
  }
}
