export { type BlobStoreTarget, parseBlobStore } from './blob-store-url.ts'
export { availableCores } from './cores.ts'
export { createDeferred, type Deferred } from './deferred.ts'
export { everyTogether, type Repetition } from './every-together.ts'
export { int8Saturates, readInt8Instructions } from './int8-instructions.ts'
export { createJobController, type JobController, type JobSignal } from './job-signal.ts'
export { listenError } from './listen-error.ts'
export { createLoopDelay, type LoopDelay, type LoopDelays } from './loop-delay.ts'
export { describeMisspelt, type MisspeltSetting, misspeltSettings } from './misspelt-settings.ts'
export { isMistyped } from './mistyped-names.ts'
export { PlainError } from './plain-error.ts'
export { safeLogging } from './log-safety.ts'
export { release } from './release.ts'
export {
  contextIn,
  jobFields,
  parseTraceparent,
  type RequestContext,
  requestContextSchema,
  requestFields,
} from './request-context.ts'
export { type Part, type Program, runProcess, type RunningPart } from './run-process.ts'
export { parseRedisUrl, type RedisAddress, type RedisTarget } from './redis-url.ts'
export { sameSecret } from './same-secret.ts'
export {
  blobStoreSetting,
  booleanSetting,
  describeSettings,
  integerSetting,
  logLevelSetting,
  parseBoth,
  parseSettings,
  redisUrlSetting,
  type Retention,
  retentionSettings,
  SettingsError,
  type SettingsSchema,
  toRetention,
} from './settings.ts'
