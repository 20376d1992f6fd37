import type { KeyLimits } from '../api-key.ts'
import { ownerBytesKey, ownerJobsKey } from '../keys.ts'
import { blobBytesOf } from '../parts.ts'
import type { QueuedJob } from '../queued-job.ts'
import { VisionQueueError } from '@vision-queue/protocol'
import { z } from 'zod'

import { defineScript } from '@vision-queue/redis'
import type { RedisClient } from '@vision-queue/redis'

/*
 * What a key has in the queue, over all models. Apart from the admission of a model, because on Redis Cluster
 * a model's keys and an owner's lie on different nodes: the quota is taken first and given back where the
 * admission fails. Exact: one script drops what has lapsed, checks both bounds and takes. By Redis' clock.
 *
 * What is taken is a place for a moment only, until the job is admitted: a process that dies meanwhile, or whose call
 * Redis carries out after it was given up, leaves a place that lapses at once and not with the job's time.
 */
const preamble = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id = ARGV[1]
local function place(bytes, lapse)
  if redis.call('ZADD', KEYS[1], lapse, id) == 1 then
    redis.call('HSET', KEYS[2], id, bytes)
    redis.call('HINCRBY', KEYS[2], '', bytes)
  end
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', KEYS[1], last)
  redis.call('PEXPIREAT', KEYS[2], last)
end
local function drop(id)
  redis.call('HINCRBY', KEYS[2], '', 0 - tonumber(redis.call('HGET', KEYS[2], id) or 0))
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
end`

const takeScript = `${preamble}
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do drop(lapsed) end
local bytes = tonumber(ARGV[2])
if redis.call('ZSCORE', KEYS[1], id) then return {1, 0} end
local jobs = redis.call('ZCARD', KEYS[1])
if jobs >= tonumber(ARGV[4]) then return {0, jobs} end
local held = tonumber(redis.call('HGET', KEYS[2], '') or 0)
if held + bytes > tonumber(ARGV[5]) then return {2, held} end
place(bytes, now + ARGV[3])
return {1, jobs}`

/** Whether or not the place has lapsed: the job is admitted, so it counts. In a full Redis too, as it is in already. */
const confirmScript = `#!lua flags=allow-oom
${preamble}
place(ARGV[2], now + ARGV[3])
return 1`

/** In a full Redis too, as a job's end. */
const releaseScript = `#!lua flags=allow-oom
${preamble}
if not redis.call('ZSCORE', KEYS[1], id) then return 0 end
drop(id)
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('UNLINK', KEYS[1], KEYS[2]) end
return 1`

/** The bounds of one key that concern jobs. */
export type JobQuota = Pick<KeyLimits, 'maxJobs' | 'maxBytes'>

/** What keys have in the queue. Jobs without an owner take nothing and cost nothing. */
export interface OwnerQuotas {
  /**
   * Rejects with `quota_exceeded`. The place lapses after `lapseMs`, unless it is confirmed. Safe to repeat, and for a
   * job that has its place.
   */
  take(job: Pick<QueuedJob, 'id' | 'owner' | 'parts'>, quota: JobQuota, lapseMs: number): Promise<void>
  /** The job is admitted: its place lapses after `lapseMs`, should it never be given back. Safe to repeat. */
  confirm(job: Pick<QueuedJob, 'id' | 'owner' | 'parts'>, quota: JobQuota, lapseMs: number): Promise<void>
  /** Safe to repeat, and for jobs that took nothing. */
  release(job: Pick<QueuedJob, 'id' | 'owner'>): Promise<void>
}

const takeReplySchema = z.tuple([z.literal([0, 1, 2]), z.number()])

export function createOwnerQuotas(redis: RedisClient): OwnerQuotas {
  const take = defineScript(redis, 'vqTakeQuota', 2, takeScript)
  const confirm = defineScript(redis, 'vqConfirmQuota', 2, confirmScript)
  const release = defineScript(redis, 'vqReleaseQuota', 2, releaseScript)
  const unlimited = Number.MAX_SAFE_INTEGER
  return {
    async take({ id, owner, parts }, { maxJobs, maxBytes }, lapseMs) {
      if (owner === null || isUnlimited({ maxJobs, maxBytes })) return
      const bounds = [maxJobs ?? unlimited, maxBytes ?? unlimited]
      const reply = await take([
        ownerJobsKey(owner),
        ownerBytesKey(owner),
        id,
        blobBytesOf({ parts }),
        lapseMs,
        ...bounds,
      ])
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
    async confirm({ id, owner, parts }, quota, lapseMs) {
      if (owner === null || isUnlimited(quota)) return
      await confirm([ownerJobsKey(owner), ownerBytesKey(owner), id, blobBytesOf({ parts }), lapseMs])
    },
    async release({ id, owner }) {
      if (owner !== null) await release([ownerJobsKey(owner), ownerBytesKey(owner), id])
    },
  }
}

function isUnlimited({ maxJobs, maxBytes }: JobQuota): boolean {
  return maxJobs === null && maxBytes === null
}

function exceeded(detail: string): VisionQueueError {
  return new VisionQueueError('quota_exceeded', detail, { retryAfterMs: 1000 })
}
