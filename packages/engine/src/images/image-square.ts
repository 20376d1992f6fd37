import type { Size } from '@vision-queue/models'

import { layOnGround } from './canvas.ts'
import type { PieceRule } from './image-plan.ts'
import { type DecodedImage, resizeDecoded } from './image-preprocessing.ts'
import type { PieceFormat } from './pixel-piece.ts'

/** A square of one size with the image in its middle, on its model's mean colour (LLaVA's `pad`). */
export interface ImageSquare {
  /** Of the image on it. */
  sizeOf: (image: Size) => Size
  read: (decode: Parameters<PieceRule['read']>[0], image: Size) => Promise<DecodedImage>
}

/** An image with longer edges than so many squares' is made smaller before it is laid, so that the memory stays bounded. */
const mostEdges = 4

/** `mean`: by channel, 0 to 1. */
export function imageSquare(
  edge: number,
  mean: readonly number[],
  { kernel }: Pick<PieceFormat, 'kernel'>,
): ImageSquare {
  const colour = [0, 1, 2].map((channel) => Math.trunc((mean[channel] ?? mean[0] ?? 0) * 255))
  return {
    sizeOf: (image) => longerTo(image, edge),
    async read(decode, image) {
      const longer = Math.max(image.height, image.width)
      const size = longer > edge * mostEdges ? longerTo(image, edge * mostEdges) : image
      const laidOn = Math.max(size.height, size.width)
      const laid = layOnGround(await decode(size), { height: laidOn, width: laidOn }, colour)
      return resizeDecoded(laid, { height: edge, width: edge }, kernel)
    },
  }
}

function longerTo({ height, width }: Size, edge: number): Size {
  const scale = edge / Math.max(height, width)
  return { height: Math.max(1, Math.round(height * scale)), width: Math.max(1, Math.round(width * scale)) }
}
