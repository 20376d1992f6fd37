import type { QueuedJob } from './queued-job.ts'

import { everyTogether } from '@vision-queue/process'
import type { RedisClient } from '@vision-queue/redis'

/**
 * Redis' clock as this process knows it. Deadlines cross the queue in its time, so that they hold between machines
 * whose clocks disagree. Asked for at each connect and now and then: a clock that is set is noticed by then.
 */
export interface RedisClock {
  /** A moment of this process' clock in Redis' time; until Redis has been asked, the same. */
  toRedis(localMs: number): number
  toLocal(redisMs: number): number
  /** The job as it goes through the queue, its deadline in Redis' time. */
  jobToRedis(job: QueuedJob): QueuedJob
  /** The job as it was before. */
  jobToLocal(job: QueuedJob): QueuedJob
  close(): void
}

const askEveryMs = 10_000
/** Less is the time that asking takes, not a difference. */
export const clockToleranceMs = 250

export function openRedisClock(redis: RedisClient): RedisClock {
  let aheadMs = 0
  const measure = async (): Promise<void> => {
    const askedAt = Date.now()
    const [seconds, microseconds] = await redis.time()
    const localMs = (askedAt + Date.now()) / 2
    const measured = Math.round(Number(seconds) * 1000 + Number(microseconds) / 1000 - localMs)
    aheadMs = Math.abs(measured) < clockToleranceMs ? 0 : measured
  }
  const ask = (): void => {
    // Where Redis is away, it stays as it was.
    measure().catch(() => {})
  }
  // Several clocks may share a connection.
  redis.setMaxListeners(redis.getMaxListeners() + 1)
  redis.on('ready', ask)
  if (redis.status === 'ready') ask()
  const asking = everyTogether(askEveryMs, ask)
  const moved = (job: QueuedJob, byMs: number): QueuedJob =>
    job.deadlineAt === null ? job : { ...job, deadlineAt: job.deadlineAt + byMs }
  return {
    toRedis: (localMs) => localMs + aheadMs,
    toLocal: (redisMs) => redisMs - aheadMs,
    jobToRedis: (job) => moved(job, aheadMs),
    jobToLocal: (job) => moved(job, -aheadMs),
    close() {
      asking.close()
      redis.off('ready', ask)
      redis.setMaxListeners(redis.getMaxListeners() - 1)
    },
  }
}
