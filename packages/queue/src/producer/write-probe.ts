import { readinessKey } from '../keys.ts'
import { readPlaces } from '../queue-places.ts'
import { createReplyError } from '@vision-queue/redis'

import type { RedisClient } from '@vision-queue/redis'

/** Long enough to be written to the append-only file, which only a key that lives for a moment is. */
const keptMs = 1000

/**
 * Writes a key that ends by itself, because Redis answers PING and reads when its disk or its memory is full, or its
 * user may not write. On a Cluster one for each part of these models' queues, on its node. Rejects with what Redis says.
 */
export async function probeWrite(redis: RedisClient, models: readonly string[]): Promise<void> {
  const places = redis.isCluster ? await Promise.all(models.map(async (model) => readPlaces(redis, model))) : []
  const keys = places.length > 0 ? places.flat().map((place) => readinessKey(place)) : [readinessKey(null)]
  await Promise.all(keys.map(async (key) => redis.set(key, '1', 'PX', keptMs)))
}

/**
 * Rejects while Redis loads its data, with what Redis would say: the connection is not ready then and rejects other
 * commands before they are sent.
 */
export async function assertLoaded(redis: RedisClient): Promise<void> {
  if (redis.isCluster || redis.status !== 'connect') return
  if (/^loading:1\r?$/m.test(await redis.info('persistence')))
    throw createReplyError('LOADING Redis is loading its data')
}
