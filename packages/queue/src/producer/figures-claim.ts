import { defineScript, type RedisClient } from '@vision-queue/redis'

import { figuresClaimKey } from '../keys.ts'

/**
 * Which API process tells the figures that all of them read from Redis, so that a sum over all scraped processes counts
 * each figure once. The first that is scraped has the claim and renews it with each scrape; it lapses after two and a
 * half of its scrapes have not come, and then the next process that is scraped takes it. Nothing has to be set, and a
 * process that died or is scraped no more keeps the figures from nobody for long.
 */
export interface FiguresClaim {
  /** To be called once for each scrape: whether the figures are this process' to tell. */
  holds(): Promise<boolean>
  /** Leaves the claim to the next one, where this process has it. */
  giveUp(): Promise<void>
}

/** Before a process knows how often it is scraped. Longer than the minute that Prometheus takes by default. */
const firstClaimMs = 70_000
const shortestClaimMs = 5000
const longestClaimMs = 600_000
/** Somebody who looks by hand in between is not the pace of the scrapes. */
const rememberedPauses = 3

const claimScript = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

const giveUpScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0`

/** @param id Of this process, not the same as any other's. */
export function createFiguresClaim(redis: RedisClient, id: string): FiguresClaim {
  const claim = defineScript(redis, 'vqClaimFigures', 1, claimScript)
  const giveUp = defineScript(redis, 'vqGiveUpFigures', 1, giveUpScript)
  const scrapes: number[] = []
  return {
    async holds() {
      scrapes.push(performance.now())
      if (scrapes.length > rememberedPauses + 1) scrapes.shift()
      return (await claim([figuresClaimKey, id, claimMs(scrapes)])) === 1
    },
    async giveUp() {
      await giveUp([figuresClaimKey, id])
    },
  }
}

/** How long a claim holds by the times of the latest scrapes, in milliseconds. */
export function claimMs(scrapes: readonly number[]): number {
  if (scrapes.length < 2) return firstClaimMs
  const pauses = scrapes.slice(1).map((at, index) => at - (scrapes[index] ?? at))
  return Math.round(Math.min(longestClaimMs, Math.max(shortestClaimMs, 2.5 * Math.max(...pauses))))
}
