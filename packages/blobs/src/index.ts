export { blobSteps, holdStep, needStep, nowLua, putCommand, readNeeded, releaseStep } from './blob-steps.ts'
export { type BlobAddress, type Blobs, type FoundBlob, type Hold, keptHolder, uploadHolder } from './blobs.ts'
export { type Budget } from './budget.ts'
export { type BudgetKeys, budgetSteps, readTaken, takeStep } from './budget-steps.ts'
export { type BlobValues, inlineValues } from './blob-values.ts'
export type { AnnouncedImage, BegunUpload, DirectUploads } from './direct-uploads.ts'
export {
  begunUploadKey,
  blobBytesKey,
  blobFactsKey,
  blobHoldersKey,
  objectServiceKey,
  objectSweepKey,
  uploadsBudgetKeys,
} from './keys.ts'
export { createMemoryBlobs, createMemoryBudget } from './memory-blobs.ts'
export { type OpenBlobStore, openBlobStore, redisBlobStore } from './objects/open-objects.ts'
export { objectOf, pointerTo } from './objects/object-name.ts'
export { type ObjectStore, ObjectStoreError, type SignedAddress } from './objects/object-store.ts'
export { openObjectSweep } from './objects/object-sweep.ts'
export { assertOwnObjects, foreignSentence, isForeign } from './objects/store-owner.ts'
export { createRedisBlobs } from './redis-blobs.ts'
export { createRedisBudget } from './redis-budget.ts'
export { createUploads, openUploads, type OwnUploads, type UploadedImage, type Uploads } from './uploads.ts'
