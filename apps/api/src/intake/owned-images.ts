import { createHash } from 'node:crypto'

import type { ImageStore, UploadedImage } from '@vision-queue/queue/producer'

/**
 * The uploaded images of one owner, by the hash of their bytes. In the store they lie under a name made of
 * owner and hash, so that nobody can find out, use or remove what another one has uploaded, whatever id is
 * sent; the price is that an image uploaded with two keys is kept twice. Without an owner the two are the same.
 */
export interface OwnedImages {
  keep: ImageStore['keep']
  read: ImageStore['read']
  /** Also gives the name that the image has in the store, which the job carries. */
  hold(hash: string, jobId: string, forMs: number): Promise<(UploadedImage & { name: string }) | null>
  remove: ImageStore['remove']
}

export function imagesOf(images: ImageStore, owner: string | null): OwnedImages {
  const name = (hash: string): string => imageNameFor(owner, hash)
  return {
    async keep(facts, bytes) {
      return { ...(await images.keep({ ...facts, hash: name(facts.hash) }, bytes)), hash: facts.hash }
    },
    async read(hash) {
      const image = await images.read(name(hash))
      return image === null ? null : { ...image, hash }
    },
    async hold(hash, jobId, forMs) {
      const image = await images.hold(name(hash), jobId, forMs)
      return image === null ? null : { ...image, hash, name: name(hash) }
    },
    remove: async (hash) => images.remove(name(hash)),
  }
}

/** The name in Redis of an owner's image, by the hash of its bytes. */
export function imageNameFor(owner: string | null, hash: string): string {
  if (owner === null) return hash
  return createHash('sha256')
    .update(JSON.stringify([owner, hash]))
    .digest('hex')
}
