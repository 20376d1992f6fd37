export type { AnnouncedModel } from './announcement.ts'
export { answerDigest } from './answer-digest.ts'
export { type ApiKey, isUsable, keyIdSchema, type KeyLimits, type Scope, scopes, scopeSchema } from './api-key.ts'
export { type CachedAnswer, reusedAnswer } from './cached-answer.ts'
export { jobChangeSchema } from './job-change.ts'
export { finalJob, unfinishedJob } from './job-forms.ts'
export {
  addDuration,
  attemptKinds,
  type Durations,
  durationBounds,
  type JobStage,
  jobStages,
  type ModelWork,
  noDurations,
  type TokenTime,
  tokenTimes,
  type VersionWork,
} from './job-work.ts'
export { jsonDigest } from './json-digest.ts'
export {
  admittedBytesKey,
  admittedKey,
  answerKey,
  apiKeysKey,
  consumerKey,
  consumersKey,
  endedBytesKey,
  endedJobsKey,
  jobChannel,
  jobKey,
  keptBytesKey,
  keptKey,
  modelAliasesKey,
  modelOrdersKey,
  modelPartsKey,
  modelsKey,
  modelVariantsKey,
  oldImageKey,
  ownedJobsKey,
  ownerBytesKey,
  ownerJobsKey,
  placeOf,
  poisonKey,
  queueName,
  queuePrefix,
  rateKeyPrefix,
  readinessKey,
  resultKey,
  textKey,
  turnsKey,
  waitingKey,
} from './keys.ts'
export {
  type BlobPart,
  blobBytesOf,
  blobsOf,
  inputOfParts,
  type JobInput,
  type Part,
  partsOfInput,
  type TextPart,
} from './parts.ts'
export { mostParts, readPlaces } from './queue-places.ts'
export { type QueuedJob, queuedJobSchema } from './queued-job.ts'
export { failedJob } from './unfinished-ends.ts'
