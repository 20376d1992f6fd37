import type { ImageFacts } from '@vision-queue/protocol'

/** Where a blob is. */
export interface BlobAddress {
  /**
   * Whose blob it is: an owner has blobs of its own, so that nobody can tell by time or by id what another one has
   * sent. Null: of all who have no owner, or who share.
   */
  space: string | null
  /** SHA-256 of its bytes, in hexadecimal digits. */
  hash: string
}

/** What came of a hold. */
export interface Hold {
  /** Whether the bytes are there. Where they aren't, whoever has them puts them. */
  stored: boolean
  /** As they were given with a hold before; null: no holder has given any. */
  facts: ImageFacts | null
  /** When the hold lapses or, with `through`, that of the other holder; milliseconds since 1970 by the store's clock. */
  lapsesAt: number
}

export type FoundBlob = Pick<Hold, 'facts' | 'lapsesAt'>

export interface HoldOptions {
  /** What is known of the blob, kept while it lives. */
  facts?: ImageFacts
  /** Only where this one holds the blob and its bytes are there; that hold then lapses in `forMs` or later. */
  through?: { holder: string; forMs: number }
}

/**
 * Bytes under their SHA-256. A blob lives while somebody holds it; each hold lapses by itself, so that a holder that
 * died leaves nothing for ever. Holders are ids of jobs and `upload:<owner>`, `kept:<model>`. Every store passes
 * `blobsConformance`.
 */
export interface Blobs {
  /**
   * Holds a blob for `forMs` from now; a hold that lapses later stays as it is. It holds whether or not the bytes are
   * there, which can be put then. Null where `through` doesn't hold: then nothing has changed. Safe to repeat.
   */
  hold(address: BlobAddress, holder: string, forMs: number, options?: HoldOptions): Promise<Hold | null>
  /**
   * The bytes of a blob that the caller holds. They stay for `forMs`; where others hold it for longer, these hold it
   * again after their own `put`. Without effect where the bytes are there.
   */
  put(address: BlobAddress, bytes: Uint8Array, forMs: number): Promise<void>
  /** Null where the holder doesn't hold the blob or its bytes are gone. */
  find(address: BlobAddress, holder: string): Promise<FoundBlob | null>
  /** The bytes; null where they are gone. */
  read(address: BlobAddress): Promise<Uint8Array | null>
  /**
   * For a process that has no rights but what it is given: the bytes, or an address on the web that gives them for a
   * while; null where they are known to be gone.
   */
  handOver(address: BlobAddress): Promise<Uint8Array | string | null>
  /** Ends a hold; with the last one the blob is gone. False where there was no such hold. Safe to repeat. */
  release(address: BlobAddress, holder: string): Promise<boolean>
}

/** Who holds what an owner has uploaded. */
export const uploadHolder = (owner: string | null): string => `upload:${owner ?? ''}`
/** Who holds what jobs of a model need for another try. */
export const keptHolder = (model: string): string => `kept:${model}`
