import { nowLua } from '@vision-queue/blobs'
import type { Step, StepSources } from '@vision-queue/bullmq-batching'

import { ownerBytesKey, ownerJobsKey } from '../keys.ts'

/*
 * What a key has in the queue, over all models. Apart from the admission of a model, because on Redis Cluster
 * a model's keys and an owner's lie on different nodes: the quota is taken first and given back where the
 * admission fails. Exact: one script drops what has lapsed, checks both bounds and takes. By Redis' clock.
 *
 * What is taken is a place for a moment only, until the job is admitted: a process that dies meanwhile, or whose call
 * Redis carries out after it was given up, leaves a place that lapses at once and not with the job's time.
 */
const preamble = `${nowLua}
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

/** The Lua of owners' quotas, by the names of its steps. */
export const quotaSteps: StepSources = {
  // The chain ends here where the quota is used up. ARGV: id, bytes, milliseconds, the most jobs, the most bytes.
  'quota:take': `${preamble}
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do drop(lapsed) end
local bytes = tonumber(ARGV[2])
if redis.call('ZSCORE', KEYS[1], id) then return {1, 0} end
local jobs = redis.call('ZCARD', KEYS[1])
if jobs >= tonumber(ARGV[4]) then return {0, jobs}, true end
local held = tonumber(redis.call('HGET', KEYS[2], '') or 0)
if held + bytes > tonumber(ARGV[5]) then return {2, held}, true end
place(bytes, now + ARGV[3])
return {1, jobs}`,
  // Whether or not the place has lapsed: the job is admitted, so it counts. ARGV: id, bytes, milliseconds.
  'quota:confirm': `${preamble}
place(ARGV[2], now + ARGV[3])
return 1`,
  // ARGV: id.
  'quota:release': `${preamble}
if not redis.call('ZSCORE', KEYS[1], id) then return 0 end
drop(id)
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('UNLINK', KEYS[1], KEYS[2]) end
return 1`,
}

export const quotaStep = (
  what: 'take' | 'confirm' | 'release',
  owner: string,
  args: readonly (string | number)[],
): Step => ({ name: `quota:${what}`, keys: [ownerJobsKey(owner), ownerBytesKey(owner)], args })
