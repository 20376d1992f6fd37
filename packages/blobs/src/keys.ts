import type { BlobAddress } from './blobs.ts'
import type { BudgetKeys } from './budget-steps.ts'

/** A blob's keys share a hash tag of its own: on Redis Cluster blobs spread over the nodes. */
const blobKey = ({ space, hash }: BlobAddress, what: string): string => `vq:{blob:${space ?? ''}:${hash}}:${what}`

/** STRING: the bytes. */
export const blobBytesKey = (address: BlobAddress): string => blobKey(address, 'bytes')
/** STRING: what is known of them (imageFactsSchema), where a holder has said it. */
export const blobFactsKey = (address: BlobAddress): string => blobKey(address, 'facts')
/** ZSET: the holders, by when their holds lapse. */
export const blobHoldersKey = (address: BlobAddress): string => blobKey(address, 'holders')

/** The bound on all uploaded images, in one slot: one script keeps it exact. */
export const uploadsBudgetKeys: BudgetKeys = { lapses: 'vq:{uploads}:held', bytes: 'vq:{uploads}:held-bytes' }
