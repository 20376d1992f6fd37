import { type KeyLimits, ownerBytesKey, ownerJobsKey, type QueuedJob, VisionQueueError } from '@vision-queue/jobs'
import { z } from 'zod'

import { defineScript } from './admission.ts'
import type { RedisClient } from './redis-connection.ts'

/*
 * What a key has in the queue, over all models. Apart from the admission of a model, because on Redis Cluster
 * a model's keys and an owner's lie on different nodes: the quota is taken first and given back where the
 * admission fails. Exact: one script drops what has lapsed, checks both bounds and takes. By Redis' clock.
 */
const preamble = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function drop(id)
  redis.call('HINCRBY', KEYS[2], '', -tonumber(redis.call('HGET', KEYS[2], id) or 0))
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
end`

const takeScript = `${preamble}
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do drop(lapsed) end
local id, bytes, lapse = ARGV[1], tonumber(ARGV[2]), now + ARGV[3]
if redis.call('ZSCORE', KEYS[1], id) then return {1, 0} end
local jobs = redis.call('ZCARD', KEYS[1])
if jobs >= tonumber(ARGV[4]) then return {0, jobs} end
local held = tonumber(redis.call('HGET', KEYS[2], '') or 0)
if held + bytes > tonumber(ARGV[5]) then return {2, held} end
redis.call('ZADD', KEYS[1], lapse, id)
redis.call('HSET', KEYS[2], id, bytes)
redis.call('HINCRBY', KEYS[2], '', bytes)
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[1], last)
redis.call('PEXPIREAT', KEYS[2], last)
return {1, jobs}`

/** In a full Redis too, as a job's end. */
const releaseScript = `#!lua flags=allow-oom
${preamble}
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
drop(ARGV[1])
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('UNLINK', KEYS[1], KEYS[2]) end
return 1`

/** The bounds of one key that concern jobs. */
export type JobQuota = Pick<KeyLimits, 'maxJobs' | 'maxBytes'>

/** What keys have in the queue. Jobs without an owner take nothing and cost nothing. */
export interface OwnerQuotas {
  /** Rejects with `quota_exceeded`. The place lapses after `lapseMs`, should it never be given back. Safe to repeat. */
  take(job: Pick<QueuedJob, 'id' | 'owner' | 'image'>, quota: JobQuota, lapseMs: number): Promise<void>
  /** Safe to repeat, and for jobs that took nothing. */
  release(job: Pick<QueuedJob, 'id' | 'owner'>): Promise<void>
}

const takeReplySchema = z.tuple([z.literal([0, 1, 2]), z.number()])

export function createOwnerQuotas(redis: RedisClient): OwnerQuotas {
  const take = defineScript(redis, 'vqTakeQuota', 2, takeScript)
  const release = defineScript(redis, 'vqReleaseQuota', 2, releaseScript)
  const unlimited = Number.MAX_SAFE_INTEGER
  return {
    async take({ id, owner, image }, { maxJobs, maxBytes }, lapseMs) {
      if (owner === null || (maxJobs === null && maxBytes === null)) return
      const bounds = [maxJobs ?? unlimited, maxBytes ?? unlimited]
      const reply = await take([ownerJobsKey(owner), ownerBytesKey(owner), id, image.bytes, lapseMs, ...bounds])
      const [kind, held] = takeReplySchema.parse(reply)
      switch (kind) {
        case 1:
          return
        case 0:
          throw exceeded(`This key has ${held} unfinished jobs, its limit.`)
        case 2:
          throw exceeded(`This key's unfinished jobs hold ${held} bytes of images; this one would pass ${maxBytes}.`)
        default:
          kind satisfies never
      }
    },
    async release({ id, owner }) {
      if (owner !== null) await release([ownerJobsKey(owner), ownerBytesKey(owner), id])
    },
  }
}

function exceeded(detail: string): VisionQueueError {
  return new VisionQueueError('quota_exceeded', detail, { retryAfterMs: 1000 })
}
