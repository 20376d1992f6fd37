import type { ImagePlan } from '../images/image-plan.ts'
import { isEncoded, type VisionImage } from './feature-cache.ts'

/** Images that are decoded before their turn to be encoded has come. */
export interface EarlyPixels {
  /** Decodes the image now where there is room for it; otherwise its turn will. Rejects as decoding does. */
  load: (image: VisionImage, plan: Pick<ImagePlan, 'used'>) => Promise<void>
  /** Of the pixels that wait. */
  readonly bytes: number
}

/**
 * Decoding early keeps it out of the steps, in which others wait for their next token; but a job may have 16 images of
 * 17 tiles, and many jobs may wait. So no more than `maxBytes` of pixels wait. An image whose job went away counts until it is collected.
 */
export function createEarlyPixels(maxBytes: number): EarlyPixels {
  const waiting = new Set<{ image: WeakRef<VisionImage>; bytes: number }>()
  const count = (): number => {
    let sum = 0
    for (const entry of waiting) {
      const image = entry.image.deref()
      if (image === undefined || isEncoded(image)) waiting.delete(entry)
      else sum += entry.bytes
    }
    return sum
  }
  return {
    async load(image, { used }) {
      const { load } = image.pieces.find(({ features }) => features === null) ?? { load: null }
      if (load === null) return
      const isCounted = [...waiting].some((entry) => entry.image.deref() === image)
      // Tiles and the whole image are twice the image at most.
      const bytes = used.height * used.width * 3 * 2
      if (!isCounted && count() + bytes > maxBytes) return
      if (!isCounted) waiting.add({ image: new WeakRef(image), bytes })
      await load()
    },
    get bytes() {
      return count()
    },
  }
}
