import type { Preprocessing, Size } from '@vision-queue/models'

import type { PixelType } from '../onnx/tensor.ts'
import type { PixelPiece } from './image-plan.ts'
import type { DecodedImage } from './image-preprocessing.ts'
import { createPixelWriter } from './pixel-writer.ts'

/** How the bytes of a piece become numbers, and by which filter images are resized. */
export interface PieceFormat extends Pick<Preprocessing, 'kernel' | 'scale' | 'shift' | 'isBgr'> {
  type: PixelType
}

/** Images of one size as tensors ``[3, height, width]``; with `square`, images of any size in the corner of one. */
export function toPieces(images: readonly DecodedImage[], format: PieceFormat, square?: Size): PixelPiece[] {
  const { type, isBgr, ...colours } = format
  const channels = isBgr ? 'BGR' : 'RGB'
  const fixed = { ...colours, isBgr, resize: null, crop: false, cropRounds: 'down', varies: false } as const
  return images.map((image) => {
    const size = square ?? { height: image.height, width: image.width }
    const padding = square === undefined ? null : ({ at: 'corner', ground: 'zero' } as const)
    const write = createPixelWriter({ ...fixed, ...size, padding }, { layout: 'NCHW', channels, type })
    return {
      dims: [3, size.height, size.width],
      type,
      write: (target, offset) => {
        write(target, offset, image)
      },
      mask: square === undefined ? null : maskOf(image, square),
    }
  })
}

function maskOf(image: Size, { height, width }: Size): Uint8Array | null {
  if (image.height === height && image.width === width) return null
  const mask = new Uint8Array(height * width)
  for (let row = 0; row < image.height; row += 1) mask.fill(1, row * width, row * width + image.width)
  return mask
}
