import type { Size } from '@vision-queue/models'

import type { PinpointsPlan } from './image-plan.ts'

/** Which part of the joined features of LLaVA's tiles belongs to the image, and not to the ground that it was laid on. */
export interface KeptFeatures extends Size {
  top: number
  left: number
  /** The size that they are resized to then, bilinear, where there are more than the model takes; null: as they are. */
  resized: Size | null
}

/**
 * What is left of the features of a plan's tiles, of which each has `side` x `side`, joined to one grid. Behind each row of
 * it comes the model's `image_newline`; before all of it come the features of the whole image. `mostTiles` is the number in
 * `anyres_max_9` (LLaVA-OneVision), null for LLaVA-NeXT. Null for a plan without tiles, after whose features there is one
 * `image_newline` only.
 */
export function keptFeatures(plan: PinpointsPlan, side: number, mostTiles: number | null): KeptFeatures | null {
  if (plan.rows === 0) return null
  const { original } = plan
  const [height, width] = [plan.rows * side, plan.columns * side]
  let [top, left] = [0, 0]
  if (original.width / original.height > width / height) {
    top = Math.floor((height - wholePart(original.height * (width / original.width))) / 2)
  } else {
    left = Math.floor((width - wholePart(original.width * (height / original.height))) / 2)
  }
  const kept = { top, left, height: height - 2 * top, width: width - 2 * left }
  if (mostTiles === null) return { ...kept, resized: null }
  const ratio = Math.sqrt((kept.height * kept.width) / (mostTiles * side ** 2))
  if (ratio <= 1.1) return { ...kept, resized: null }
  return { ...kept, resized: { height: Math.floor(kept.height / ratio), width: Math.floor(kept.width / ratio) } }
}

/** The original rounds to seven digits first, lest a product just below a whole number lose one. */
function wholePart(value: number): number {
  return Math.trunc(Math.round(value * 1e7) / 1e7)
}
