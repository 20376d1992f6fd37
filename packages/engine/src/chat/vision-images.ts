import { webcrypto } from 'node:crypto'

import type { ImagePlan } from '../images/image-plan.ts'
import type { VisionPixels } from '../images/vision-pixels.ts'
import type { FeatureCache, VisionImage } from './feature-cache.ts'
import type { VisionPiece } from './vision-encoder.ts'

/** The pieces of an image, which is decoded when the first of them is loaded. */
export function piecesOf(pixels: VisionPixels, file: Uint8Array, plan: ImagePlan): VisionPiece[] {
  let loading: Promise<void> | null = null
  const read = async (): Promise<void> => {
    try {
      const decoded = await pixels.read(file, plan)
      for (const [index, piece] of pieces.entries()) {
        if (piece.features === null) piece.pixels ??= decoded[index] ?? null
      }
    } finally {
      loading = null
    }
  }
  const load = async (): Promise<void> => {
    if (pieces.some((piece) => piece.pixels === null && piece.features === null)) await (loading ??= read())
  }
  const isPatches = plan.rule === 'patches'
  const pieces = Array.from({ length: plan.pieces }, (): VisionPiece => {
    return {
      load,
      pixels: null,
      grid: isPatches ? [plan.grid.time, plan.grid.height, plan.grid.width] : null,
      tokens: isPatches ? patchTokens(plan) : null,
      features: null,
    }
  })
  return pieces
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
  return cache.get(key, async () => ({ pieces: piecesOf(pixels, file, plan) }))
}
