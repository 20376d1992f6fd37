export { type AdmitOptions, type Pace, workOffMs } from './admission.ts'
export { answerDigest } from './answer-digest.ts'
export { type Announcer, type AnnouncerOptions, startAnnouncer } from './announcer.ts'
export { type ApiKeys, type ApiKeysOptions, openApiKeys } from './api-keys.ts'
export { type Cancellations, type HeldJob, openCancellations } from './cancellations.ts'
export { createModelForgetting, type ModelForgetting } from './forget-model.ts'
export { createLogLimit, type LogLimit } from './log-limit.ts'
export { letHeapGrow } from './heap-growth.ts'
export {
  type Claimed,
  type IdempotencyClaim,
  type IdempotencyKeys,
  type IdempotentRequest,
  newJobId,
} from './idempotency-keys.ts'
export { type ImageStore, type ImageStoreOptions, openImageStore, type UploadedImage } from './image-store.ts'
export {
  type Accepted,
  type JobClient,
  type JobClientOptions,
  openJobClient,
  type SubmitOptions,
} from './job-client.ts'
export type { JobControl, MayRead } from './job-control.ts'
export type { JobPage, ListCursor, ListOptions } from './job-index.ts'
export { type Delivery, type Disposition, type JobSource, type JobSourceOptions, openJobSource } from './job-source.ts'
export type { JobWatch } from './job-watcher.ts'
export { jsonDigest } from './json-digest.ts'
export {
  type ModelDirectory,
  type ModelDirectoryOptions,
  openModelDirectory,
  type ServedModel,
  type ServingConsumer,
} from './model-directory.ts'
export { type ModelOrders, readModelOrders, type StandingOrder } from './model-orders.ts'
export { createPoisonStore, type PoisonStore } from './poison-store.ts'
export { assertNoEviction, openDurableConnection, type TransportLog } from './redis-connection.ts'
export { readRefusal, type RedisRefusal } from './redis-refusal.ts'
export { createResultStore, type ResultStore, type ResultStoreOptions } from './result-store.ts'
export { type JobQuota } from './owner-quota.ts'
export { type RequestRate, rateWindowSeconds } from './request-rate.ts'
export { openTextPublisher, type TextPublisher, type TextPublisherOptions } from './text-publisher.ts'
export { failedJob } from './unfinished-ends.ts'
export { agreeOnVariant, type DecidedModel } from './variant-decisions.ts'
