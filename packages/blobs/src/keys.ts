import type { BlobAddress } from './blobs.ts'
import type { BudgetKeys } from './budget-steps.ts'

/** A blob's keys share a hash tag of its own: on Redis Cluster blobs spread over the nodes. */
const blobKey = ({ space, hash }: BlobAddress, what: string): string => `vq:{blob:${space ?? ''}:${hash}}:${what}`

/** STRING: the bytes, or which object has them. */
export const blobBytesKey = (address: BlobAddress): string => blobKey(address, 'bytes')
/** STRING: what is known of them (imageFactsSchema), where a holder has said it. */
export const blobFactsKey = (address: BlobAddress): string => blobKey(address, 'facts')
/** ZSET: the holders, by when their holds lapse. */
export const blobHoldersKey = (address: BlobAddress): string => blobKey(address, 'holders')

/** The bound on all uploaded images, in one slot: one script keeps it exact. */
export const uploadsBudgetKeys: BudgetKeys = { lapses: 'vq:{uploads}:held', bytes: 'vq:{uploads}:held-bytes' }

/** STRING: an upload past the API that isn't completed (direct-uploads.ts). */
export const begunUploadKey = (id: string): string => `vq:{upload:${id}}:begun`

/** STRING: the id of this service, which the place of its objects is marked with (objects/store-owner.ts). */
export const objectServiceKey = 'vq:{objects}:service'
/** STRING that expires: some process looks for objects that nothing points to, or has done so lately. */
export const objectSweepKey = 'vq:{objects}:sweep'
