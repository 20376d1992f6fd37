/** For processes that hand jobs in and read what became of them. */
export { type AdmitOptions, type Pace, workOffMs } from './producer/admission.ts'
export type { Backlog } from './producer/backlog.ts'
export { type ApiKeys, openApiKeys } from './producer/api-keys.ts'
export { type IdempotencyClaim, newJobId } from './producer/idempotency-keys.ts'
export { type Accepted, type BlobBytes, type JobClient, openJobClient } from './producer/job-client.ts'
export type { JobEvents, JobEventsOptions } from './producer/job-events.ts'
export type { ListCursor } from './producer/job-index.ts'
export {
  type ModelDirectory,
  openModelDirectory,
  type ServedModel,
  type ServingConsumer,
} from './producer/model-directory.ts'
export type { OwnedJobs } from './producer/owned-jobs.ts'
export type { JobQuota } from './producer/owner-quota.ts'
export { rateWindowSeconds, type RequestRate } from './producer/request-rate.ts'
