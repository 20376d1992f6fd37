import { lookAtRedis, openFailFastConnection, readEvictionPolicy, type RedisClient } from '@vision-queue/redis'
import { once } from 'node:events'

import { judgeRedis } from './check-redis.ts'
import { fail, type Finding, ok } from './finding.ts'

/** What is asked of Redis. */
export interface RedisFacts {
  /** The answer to INFO. */
  info: string
  /** Null: noeviction, on every node. */
  evictionPolicy: string | null
  /** By how much the clock of this machine is ahead of Redis'. */
  skewMs: number
  /** Of the question for its time. */
  roundTripMs: number
}

/** Asks Redis, and judges what it says; one finding where it can't be asked. */
export async function checkRedis(redisUrl: string, timeoutMs: number): Promise<Finding[]> {
  const look = await lookAtRedis(redisUrl, timeoutMs)
  if (look.kind !== 'answers') return [fail('Redis', look.sentence)]
  const quiet = { info() {}, warn() {}, error() {} }
  const redis = openFailFastConnection({ redisUrl, commandTimeoutMs: timeoutMs, log: quiet, name: 'doctor' })
  try {
    if (redis.status !== 'ready') await once(redis, 'ready', { signal: AbortSignal.timeout(timeoutMs) })
    return [ok('Redis', 'answers'), ...judgeRedis(await readFacts(redis))]
  } catch (error) {
    return [
      fail('Redis', `answers, and not to what is asked: ${error instanceof Error ? error.message : String(error)}`),
    ]
  } finally {
    redis.disconnect()
  }
}

async function readFacts(redis: RedisClient): Promise<RedisFacts> {
  const info = await redis.info()
  const evictionPolicy = await readEvictionPolicy(redis)
  const [asked, askedAt] = [performance.now(), Date.now()]
  const [seconds = 0, microseconds = 0] = (await redis.time()).map(Number)
  const roundTripMs = performance.now() - asked
  const redisTime = seconds * 1000 + microseconds / 1000
  return { info, evictionPolicy, skewMs: askedAt + roundTripMs / 2 - redisTime, roundTripMs }
}

/** The fields of INFO by their names. */
export function parseInfo(info: string): Map<string, string> {
  const lines = info.split(/\r?\n/).filter((line) => line.includes(':') && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
}
