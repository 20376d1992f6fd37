import { webcrypto } from 'node:crypto'

import type { ImagePlan } from '../images/image-plan.ts'
import type { VisionPixels } from '../images/vision-pixels.ts'
import type { FeatureCache, VisionImage } from './feature-cache.ts'
import type { VisionPiece } from './vision-encoder.ts'

/** The pieces of an image, decoded. */
export async function piecesOf(pixels: VisionPixels, file: Uint8Array, plan: ImagePlan): Promise<VisionPiece[]> {
  const read = await pixels.read(file, plan)
  const isPatches = plan.rule === 'patches'
  return read.map((piece) => ({
    pixels: piece,
    grid: isPatches ? [plan.grid.time, plan.grid.height, plan.grid.width] : null,
    tokens: isPatches ? patchTokens(plan) : null,
    features: null,
  }))
}

/** How many features an image in patches has. */
export function patchTokens({ grid, mergeSize }: Extract<ImagePlan, { rule: 'patches' }>): number {
  return (grid.time * grid.height * grid.width) / mergeSize ** 2
}

/** An image's pieces, from the cache where its bytes were seen in this way before. */
export async function cachedImage(
  cache: FeatureCache,
  { pixels, file, plan }: { pixels: VisionPixels; file: Uint8Array; plan: ImagePlan },
): Promise<VisionImage> {
  // Hashed in libuv's threads, beside the images that are being decoded.
  const digest = await webcrypto.subtle.digest('SHA-256', new Uint8Array(file))
  const key = `${Buffer.from(digest).toString('base64')} ${plan.key}`
  return cache.get(key, async () => ({ pieces: await piecesOf(pixels, file, plan) }))
}
