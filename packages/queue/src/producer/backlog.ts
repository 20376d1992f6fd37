import type { RedisClient } from '@vision-queue/redis'

import { activeKey, admittedKey, pinnedQueueName, queueName } from '../keys.ts'
import { readPlaces } from '../queue-places.ts'

/** The unfinished jobs of a model by what they do. */
export interface Backlog {
  /** Jobs that no consumer holds, those that wait for another attempt included. */
  waiting: number
  /** Jobs that consumers hold. */
  running: number
  /** How long the oldest of those that wait has been there, in milliseconds, by Redis' clock; 0: none waits. */
  oldestWaitingMs: number
}

/**
 * Reads what is unfinished in all parts of a model's queue. `versions`: those that jobs may be pinned to.
 * @param payloadTtlMs After which an admission lapses: by that and when it lapses it is told when it was made.
 */
export async function readBacklog(
  redis: RedisClient,
  { model, versions, payloadTtlMs }: { model: string; versions: readonly string[]; payloadTtlMs: number },
): Promise<Backlog> {
  const queues = [queueName, ...versions.map((version) => pinnedQueueName(version))]
  const [places, [seconds]] = await Promise.all([readPlaces(redis, model), redis.time()])
  const now = Number(seconds) * 1000
  const parts = await Promise.all(places.map(async (place) => readPart(redis, place, queues, now)))
  const oldest = Math.min(...parts.map(({ oldestLapse }) => oldestLapse))
  return {
    waiting: parts.reduce((sum, part) => sum + part.waiting, 0),
    running: parts.reduce((sum, part) => sum + part.running, 0),
    oldestWaitingMs: Number.isFinite(oldest) ? Math.max(0, now - (oldest - payloadTtlMs)) : 0,
  }
}

async function readPart(
  redis: RedisClient,
  place: string,
  queues: readonly string[],
  now: number,
): Promise<{ waiting: number; running: number; oldestLapse: number }> {
  const lists = await Promise.all(queues.map(async (queue) => redis.lrange(activeKey(place, queue), 0, -1)))
  const held = new Set(lists.flat())
  const [unfinished, oldest] = await Promise.all([
    redis.zcount(admittedKey(place), now, '+inf'),
    // One more than are held: one of them waits, if any does.
    redis.zrangebyscore(admittedKey(place), now, '+inf', 'WITHSCORES', 'LIMIT', 0, held.size + 1),
  ])
  let oldestLapse = Number.POSITIVE_INFINITY
  for (let index = 0; index + 1 < oldest.length; index += 2) {
    if (held.has(oldest[index] ?? '')) continue
    oldestLapse = Number(oldest[index + 1])
    break
  }
  // Lists and admissions are read one after the other; a job may have ended in between.
  return { waiting: Math.max(0, unfinished - held.size), running: held.size, oldestLapse }
}
