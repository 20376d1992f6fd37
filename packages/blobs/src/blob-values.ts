import type { BlobAddress } from './blobs.ts'

/** What Redis holds of a blob under `blobBytesKey`: its bytes, or where they are. */
export interface BlobValues {
  /** Whether a blob of so many bytes is its own value, so that it costs nothing to make it. */
  isInline(bytes: number): boolean
  /** How long `toValue` and `toBytes` may take beyond Redis. */
  patienceMs: number
  /** Stores what isn't inline. Rejects with `queue_unavailable`. */
  toValue(address: BlobAddress, bytes: Uint8Array): Promise<Uint8Array>
  /** Null where the bytes are gone. Rejects with `queue_unavailable`. */
  toBytes(address: BlobAddress, value: Uint8Array): Promise<Uint8Array | null>
  /** For a process that has no rights but what it is given: the bytes, or an address on the web that gives them for a while. */
  toHandOver(address: BlobAddress, value: Uint8Array): Promise<Uint8Array | string>
}

/** All bytes stand in Redis. */
export const inlineValues: BlobValues = {
  isInline: () => true,
  patienceMs: 0,
  toValue: async (_address, bytes) => bytes,
  toBytes: async (_address, value) => value,
  toHandOver: async (_address, value) => value,
}
