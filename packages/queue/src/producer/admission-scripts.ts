import { turnLua } from './turns.ts'

/** Redis' own clock, in milliseconds: those of two machines may be hours apart, and one would drop what the other holds. */
const redisNow = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/** What an admitted job holds: `<bytes> <hashes> <owner> <space>`. */
const bytesOf = `local function bytesOf(id)
  return tonumber(string.match(redis.call('HGET', KEYS[2], id) or '0', '^%d+'))
end`

/**
 * The bound on unfinished jobs, exact: one script drops lapsed admissions, checks count and bytes,
 * and admits, so no burst slips past it (a read-then-add gate let 1,130 jobs in at a limit of 1,000).
 * Where the answer is known already, nothing is admitted.
 *
 * Keys: admitted ids by lapse time, their bytes by id (sum under ''), the answer that would do, and those of its turn
 * (turns.ts). The bytes are kept with the hashes and the owner, for orphan-sweep.ts. A resubmitted id keeps its place.
 */
export const admitScript = (rounds?: number): string => `${turnLua(rounds)}
${bytesOf}
local answer = ARGV[7] == '1' and redis.call('GET', KEYS[3])
if answer then return {2, answer, 0} end
${redisNow}
local id, bytes = ARGV[2], tonumber(ARGV[3])
local lapse = string.format('%.0f', now + ARGV[1])
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('HINCRBY', KEYS[2], '', 0 - bytesOf(lapsed))
  redis.call('HDEL', KEYS[2], lapsed)
  redis.call('ZREM', KEYS[1], lapsed)
end
local jobs = redis.call('ZCARD', KEYS[1])
local held = tonumber(redis.call('HGET', KEYS[2], '') or 0)
if not redis.call('ZSCORE', KEYS[1], id) then
  if jobs >= tonumber(ARGV[4]) or held + bytes > tonumber(ARGV[5]) then return {0, jobs, held} end
  if jobs > tonumber(ARGV[6]) then return {3, jobs, held} end
  redis.call('ZADD', KEYS[1], lapse, id)
  redis.call('HSET', KEYS[2], id, bytes .. ' ' .. ARGV[8])
  redis.call('HINCRBY', KEYS[2], '', bytes)
end
local its = ARGV[9] == '' and 0
  or turn(KEYS[4], KEYS[5], jobs == 0, lapse, ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11]))
return {1, jobs, its}`

/** Gives an admission back, in a full Redis too. Safe to repeat. */
export const releaseScript = `#!lua flags=allow-oom
${bytesOf}
local held = bytesOf(ARGV[1])
if held > 0 then redis.call('HINCRBY', KEYS[2], '', -held) end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1`
