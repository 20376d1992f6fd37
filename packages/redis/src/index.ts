export { defineScript } from './define-script.ts'
export { createLogLimit } from './log-limit.ts'
export { greetRedis, lookAtRedis, type RedisLook } from './look-at-redis.ts'
export { parseJson } from './parse-json.ts'
export {
  assertNoEviction,
  type ConnectionOptions,
  createReplyError,
  guarded,
  isReplyError,
  openDurableConnection,
  openFailFastConnection,
  openSubscriber,
  readEvictionPolicy,
  type RedisClient,
  type RedisSubscriber,
  type TransportLog,
} from './redis-connection.ts'
export { readRedisFigures, type RedisFigures } from './redis-figures.ts'
export { readRefusal } from './redis-refusal.ts'
export { openSilentProxy, type SilentProxy } from './test-support/silent-proxy.ts'
