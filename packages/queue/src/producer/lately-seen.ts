import type { BlobAddress } from '@vision-queue/blobs'
import { LRUCache } from 'lru-cache'

/** What this process has met lately, by which it guesses where bytes would be sent in vain. To be wrong costs a visit. */
export interface LatelySeen {
  /** Others than one job of ours held the blob, so that it is likely there still. */
  noteHeld(address: BlobAddress): void
  isHeld(address: BlobAddress): boolean
  /** The blob was not there although it seemed to be held. */
  noteMissing(address: BlobAddress): void
  noteRefusal(model: string): void
  isRefusing(model: string): boolean
}

const heldForMs = 10_000
const refusingForMs = 1000

export function createLatelySeen(): LatelySeen {
  const held = new LRUCache<string, true>({ max: 1000, ttl: heldForMs, ttlAutopurge: false })
  const refusing = new LRUCache<string, true>({ max: 1000, ttl: refusingForMs, ttlAutopurge: false })
  const nameOf = ({ space, hash }: BlobAddress): string => `${hash} ${space ?? ''}`
  return {
    noteHeld: (address) => void held.set(nameOf(address), true),
    isHeld: (address) => held.has(nameOf(address)),
    noteMissing: (address) => void held.delete(nameOf(address)),
    noteRefusal: (model) => void refusing.set(model, true),
    isRefusing: (model) => refusing.has(model),
  }
}
