import { LRUCache } from 'lru-cache'

import type { VisionPiece } from './vision-encoder.ts'

/** Some hundred images of a thousand features of 768 numbers. */
export const defaultFeatureCacheBytes = 256 * 1024 ** 2

/** An image on its way to its features, or with them. */
export interface VisionImage {
  pieces: readonly VisionPiece[]
}

/** Images whose features were made lately, or are being made, by what they are features of. */
export interface FeatureCache {
  /**
   * The image of a key, which tells its bytes and how it is prepared. One that isn't known is read; those who ask for it
   * meanwhile get the same one, so that it is decoded and encoded once. A read that fails is tried by the next again.
   */
  get: (key: string, read: () => Promise<VisionImage>) => Promise<VisionImage>
  /** To be told when pieces have got their features, so that they are counted as what they take now. */
  recount: () => void
  /** What is held, in bytes. */
  readonly bytes: number
  /** How often an image was asked for that was known, and one that was not. */
  readonly seen: { known: number; fresh: number }
}

/**
 * Bounded by `maxBytes` of features, or of the pixels of those that aren't encoded yet: what was asked for longest ago goes.
 * Whoever asked for an image holds it himself, so that nothing is lost by that but the sharing. 0: nothing is kept.
 */
export function createFeatureCache(maxBytes: number): FeatureCache {
  const seen = { known: 0, fresh: 0 }
  const readAnew = async (read: () => Promise<VisionImage>): Promise<VisionImage> => {
    seen.fresh += 1
    return read()
  }
  if (maxBytes === 0) return { get: async (_key, read) => readAnew(read), recount() {}, bytes: 0, seen }
  const images = new LRUCache<string, { image: Promise<VisionImage> }>({ maxSize: maxBytes })
  /** Images that hold pixels still. */
  const uncounted = new Map<string, VisionImage>()

  const count = (key: string, image: VisionImage): void => {
    const entry = images.peek(key)
    if (entry === undefined) uncounted.delete(key)
    else {
      // A new entry: of one that stays the same the library doesn't look at the size.
      images.set(key, { ...entry }, { size: bytesOf(image) })
      if (isEncoded(image)) uncounted.delete(key)
    }
  }

  return {
    async get(key, read) {
      const known = images.get(key)
      if (known !== undefined) {
        seen.known += 1
        return known.image
      }
      const entry = { image: readAnew(read) }
      images.set(key, entry, { size: 1 })
      try {
        const image = await entry.image
        uncounted.set(key, image)
        count(key, image)
        return image
      } catch (error) {
        if (images.peek(key)?.image === entry.image) images.delete(key)
        throw error
      }
    },
    recount() {
      for (const [key, image] of uncounted) if (isEncoded(image)) count(key, image)
    },
    get bytes() {
      return images.calculatedSize
    },
    seen,
  }
}

/** Whether all of its features are there. */
export function isEncoded({ pieces }: VisionImage): boolean {
  return pieces.every(({ features }) => features !== null)
}

function bytesOf({ pieces }: VisionImage): number {
  return pieces.reduce((sum, { pixels, features }) => {
    // Pixels lie as bytes until they are written into a run.
    const ofPixels = pixels === null ? 0 : pixels.dims.reduce((product, dim) => product * dim, 1)
    return sum + ofPixels + (features?.byteLength ?? 0)
  }, 200)
}
