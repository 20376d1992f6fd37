import { rateKeyPrefix } from '../keys.ts'
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { RedisClient } from '@vision-queue/redis'

/** What is left of a caller's minute. */
export interface RequestRate {
  limit: number
  remaining: number
  /** Until the minute is over. */
  resetMs: number
  /** Whether this request is one too many. */
  exceeded: boolean
}

/** The window in which requests are counted; it begins with the first request after the last one ended. */
export const rateWindowSeconds = 60

/**
 * Counts requests by owner in Redis, for all API processes together. Who is over the limit is refused by this
 * process' memory until the minute ends, so that a flood costs Redis nothing. Rejects where Redis is away.
 */
export function createRequestRates(redis: RedisClient): (owner: string, limit: number) => Promise<RequestRate> {
  // One for each limit there is; the counts are the same in Redis.
  const limiters = new Map<number, RateLimiterRedis>()
  const limiterFor = (limit: number): RateLimiterRedis => {
    const known = limiters.get(limit)
    if (known !== undefined) return known
    const limiter = new RateLimiterRedis({
      storeClient: redis,
      keyPrefix: rateKeyPrefix,
      points: limit,
      duration: rateWindowSeconds,
      inMemoryBlockOnConsumed: limit + 1,
    })
    limiters.set(limit, limiter)
    return limiter
  }
  return async (owner, limit) => {
    const rate = ({ remainingPoints, msBeforeNext }: RateLimiterRes, exceeded: boolean): RequestRate => ({
      limit,
      remaining: remainingPoints,
      resetMs: msBeforeNext,
      exceeded,
    })
    try {
      return rate(await limiterFor(limit).consume(owner), false)
    } catch (refused) {
      // What it rejects with where the limit is passed; all else is a failure.
      if (refused instanceof RateLimiterRes) return rate(refused, true)
      throw refused
    }
  }
}
