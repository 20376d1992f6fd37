import { type ConsumerAnnouncement, consumerKey, consumersKey, modelsKey } from '@vision-queue/jobs'
import type { Redis } from 'ioredis'

import type { TransportLog } from './redis-connection.ts'

/** Keeps a consumer known: announces it now and at every heartbeat, and takes it back at the end. */
export interface Announcer {
  /** Stops the heartbeat and removes the announcement; its models stay known. */
  close(): Promise<void>
}

export interface AnnouncerOptions {
  redis: Redis
  heartbeatMs: number
  describe: () => ConsumerAnnouncement
  log: TransportLog
}

/** A consumer counts as gone after so many missed heartbeats. */
const missedHeartbeats = 3

/** Resolves once the first announcement is in Redis. */
export async function startAnnouncer({ redis, heartbeatMs, describe, log }: AnnouncerOptions): Promise<Announcer> {
  const announce = async (): Promise<string> => {
    const announcement = describe()
    const { id, heartbeatAt, models } = announcement
    const lifetimeMs = heartbeatMs * missedHeartbeats
    await Promise.all([
      redis.set(consumerKey(id), JSON.stringify(announcement), 'PX', lifetimeMs),
      redis.zadd(consumersKey, heartbeatAt, id),
      redis.zremrangebyscore(consumersKey, '-inf', heartbeatAt - 10 * lifetimeMs),
      ...models.map(async ({ manifest }) =>
        redis.hset(modelsKey, `${manifest.name}@${manifest.version}`, JSON.stringify(manifest)),
      ),
    ])
    return id
  }

  const id = await announce()
  let beating = false
  const timer = setInterval(() => {
    // While Redis is away one heartbeat waits for it; more would only pile up behind.
    if (beating) return
    beating = true
    announce()
      .catch((error: unknown) => log.warn({ error: String(error) }, 'Heartbeat failed'))
      .finally(() => {
        beating = false
      })
  }, heartbeatMs)

  return {
    async close() {
      clearInterval(timer)
      await Promise.all([redis.unlink(consumerKey(id)), redis.zrem(consumersKey, id)])
    },
  }
}
