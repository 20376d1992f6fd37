import { createHash } from 'node:crypto'

import { poisonKey } from '../keys.ts'
import { blobsOf } from '../parts.ts'
import type { QueuedJob } from '../queued-job.ts'

import type { RedisClient } from '@vision-queue/redis'

import { turnReaderOf } from '../turn-reader.ts'

type JobBlobs = Pick<QueuedJob, 'model' | 'parts'>

/**
 * Which images have crashed an engine lately, known to all consumers. Per model: another may well take them. Of a job
 * with several images nobody knows which of them it was, so that they are remembered together; a job without any
 * is never remembered.
 */
export interface PoisonStore {
  has(job: JobBlobs): Promise<boolean>
  add(job: JobBlobs): Promise<void>
}

/** The hash of the only blob, or one of all hashes in their order; null: there are none. */
function poisonHashOf(job: JobBlobs): string | null {
  const [first, ...more] = blobsOf(job).map(({ hash }) => hash)
  if (first === undefined || more.length === 0) return first ?? null
  return createHash('sha256')
    .update([first, ...more].join(' '))
    .digest('hex')
}

/** `ttlMs`: how long an image is remembered; 0: never, and Redis isn't asked. */
export function createPoisonStore({ redis, ttlMs }: { redis: RedisClient; ttlMs: number }): PoisonStore {
  const read = turnReaderOf(redis)
  return {
    async has(job) {
      const hash = poisonHashOf(job)
      return ttlMs > 0 && hash !== null && (await read(poisonKey(job.model, hash))) !== null
    },
    async add(job) {
      const hash = poisonHashOf(job)
      if (ttlMs > 0 && hash !== null) await redis.set(poisonKey(job.model, hash), '', 'PX', ttlMs)
    },
  }
}
