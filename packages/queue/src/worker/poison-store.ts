import { poisonKey } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'

import type { RedisClient } from '@vision-queue/redis'

type JobImage = Pick<QueuedJob, 'model' | 'image'>

/** Which images have crashed an engine lately, known to all consumers. Per model: another may well take them. */
export interface PoisonStore {
  has(job: JobImage): Promise<boolean>
  add(job: JobImage): Promise<void>
}

/** `ttlMs`: how long an image is remembered; 0: never, and Redis isn't asked. */
export function createPoisonStore({ redis, ttlMs }: { redis: RedisClient; ttlMs: number }): PoisonStore {
  return {
    async has({ model, image }) {
      return ttlMs > 0 && (await redis.exists(poisonKey(model, image.hash))) === 1
    },
    async add({ model, image }) {
      if (ttlMs > 0) await redis.set(poisonKey(model, image.hash), '', 'PX', ttlMs)
    },
  }
}
