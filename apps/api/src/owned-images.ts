import { createHash } from 'node:crypto'

import type { ImageStore } from '@vision-queue/transport'

/**
 * The uploaded images of one owner, by the hash of their bytes. In the store they lie under a name made of
 * owner and hash, so that nobody can find out, use or remove what another one has uploaded, whatever id is
 * sent; the price is that an image uploaded with two keys is kept twice. Without an owner the two are the same.
 */
export interface OwnedImages {
  keep: ImageStore['keep']
  read: ImageStore['read']
  /** The held image has the hash under which the store, and so the job, knows it. */
  hold: ImageStore['hold']
  remove: ImageStore['remove']
}

export function imagesOf(images: ImageStore, owner: string | null): OwnedImages {
  const name = (hash: string): string =>
    owner === null
      ? hash
      : createHash('sha256')
          .update(JSON.stringify([owner, hash]))
          .digest('hex')
  return {
    async keep(facts, bytes) {
      return { ...(await images.keep({ ...facts, hash: name(facts.hash) }, bytes)), hash: facts.hash }
    },
    async read(hash) {
      const image = await images.read(name(hash))
      return image === null ? null : { ...image, hash }
    },
    hold: async (hash, jobId, forMs) => images.hold(name(hash), jobId, forMs),
    remove: async (hash) => images.remove(name(hash)),
  }
}
