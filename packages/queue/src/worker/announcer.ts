import type { ConsumerAnnouncement } from '../announcement.ts'
import { consumerKey, consumersKey, modelAliasesKey, modelCapacitiesKey, modelsKey } from '../keys.ts'
import { raiseParts } from '../queue-places.ts'

import { defineScript } from '@vision-queue/redis'
import type { RedisClient, TransportLog } from '@vision-queue/redis'

/** Keeps a consumer known: announces it now and at every heartbeat, and takes it back at the end. */
export interface Announcer {
  /** Announces at once what has changed; failures are logged. */
  renew(): void
  /** When Redis last took an announcement, by the monotonic clock. */
  readonly announcedAt: number
  /** Stops the heartbeat and removes the announcement; its models stay known. */
  close(): Promise<void>
}

export interface AnnouncerOptions {
  redis: RedisClient
  heartbeatMs: number
  describe: () => ConsumerAnnouncement
  log: TransportLog
}

/** A consumer counts as gone after so many missed heartbeats. */
const missedHeartbeats = 3

/**
 * Enters a consumer and drops those that have been silent for ARGV[2] milliseconds. By Redis' clock: a consumer whose
 * own is ahead would drop the others.
 */
const beatScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
return redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])`

/** Resolves once the first announcement is in Redis. */
export async function startAnnouncer({ redis, heartbeatMs, describe, log }: AnnouncerOptions): Promise<Announcer> {
  const beatInRedis = defineScript(redis, 'vqHeartbeat', 1, beatScript)
  const announce = async (): Promise<string> => {
    const announcement = describe()
    const { id, models, aliases, queueParts = 1 } = announcement
    const lifetimeMs = heartbeatMs * missedHeartbeats
    // Only of what is ready: a version that never was is known while its consumer lives.
    const manifests = models.flatMap(({ status, manifest }): [string, string][] =>
      status === 'ready' && manifest !== null
        ? [[`${manifest.name}@${manifest.version}`, JSON.stringify(manifest)]]
        : [],
    )
    // What a consumer is good for stays known when there is none, so that somebody can tell when to start one.
    const capacities = models.flatMap(({ name, version, status, stats: { capacity } }): [string, string][] =>
      status === 'ready' && capacity !== null ? [[`${name}@${version}`, String(capacity)]] : [],
    )
    // Before API processes may put jobs there.
    await raiseParts(redis, new Set(models.map(({ name }) => name)), queueParts)
    await Promise.all([
      redis.set(consumerKey(id), JSON.stringify(announcement), 'PX', lifetimeMs),
      beatInRedis([consumersKey, id, 10 * lifetimeMs]),
      ...(manifests.length === 0 ? [] : [redis.hset(modelsKey, ...manifests.flat())]),
      ...(capacities.length === 0 ? [] : [redis.hset(modelCapacitiesKey, ...capacities.flat())]),
      ...Object.entries(aliases).map(async ([name, its]) => redis.hset(modelAliasesKey, name, JSON.stringify(its))),
    ])
    announcedAt = performance.now()
    return id
  }

  let announcedAt = 0
  const id = await announce()
  let closed = false
  let beating = false
  let again = false
  const beat = (): void => {
    // While Redis is away one heartbeat waits for it; more would only pile up behind.
    if (beating) return
    beating = true
    announce()
      .catch((error: unknown) => log.warn({ error: String(error) }, 'Heartbeat failed'))
      .finally(() => {
        beating = false
        if (again && !closed) beat()
      })
    again = false
  }
  const timer = setInterval(beat, heartbeatMs)

  return {
    get announcedAt() {
      return announcedAt
    },
    renew() {
      if (closed) return
      again = beating
      beat()
    },
    async close() {
      closed = true
      clearInterval(timer)
      await Promise.all([redis.unlink(consumerKey(id)), redis.zrem(consumersKey, id)])
    },
  }
}
