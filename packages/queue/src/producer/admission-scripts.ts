import { turnLua } from './turns.ts'

/** Redis' own clock, in milliseconds: those of two machines may be hours apart, and one would drop what the other holds. */
const redisNow = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/** What an admitted job holds: `<bytes> <name> <owner>`. */
const bytesOf = `local function bytesOf(id)
  return tonumber(string.match(redis.call('HGET', KEYS[2], id) or '0', '^%d+'))
end`

/** The payload lives as long as the last of its holders needs it; 1 where it is there. */
const settle = `local function settle()
  local last = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')[2]
  if not last then
    redis.call('UNLINK', KEYS[3])
    return 0
  end
  redis.call('PEXPIREAT', KEYS[4], last)
  return redis.call('PEXPIREAT', KEYS[3], last)
end`

/**
 * The bound on unfinished jobs, exact: one script drops lapsed admissions, checks count and bytes,
 * and admits, so no burst slips past it (a read-then-add gate let 1,130 jobs in at a limit of 1,000).
 * Where the answer is known already, nothing is admitted. The payload itself follows only where it isn't
 * there yet, and never through the script: Redis' Lua hashes a string to its last byte, which for 50 KB
 * was a quarter of all the CPU that Redis spent on a job.
 *
 * Keys: admitted ids by lapse time, payload bytes by id (sum under ''), the payload, its holders, the
 * answer that would do, and those of its turn (turns.ts). The bytes are kept with the payload's name and
 * the owner, for orphan-sweep.ts. A payload lives while a job holds it; a resubmitted id keeps its place.
 */
export const admitScript = (rounds?: number): string => `${turnLua(rounds)}
${bytesOf}
${settle}
local answer = ARGV[7] == '1' and redis.call('GET', KEYS[5])
if answer then return {2, answer, 0} end
if ARGV[8] == '1' and redis.call('EXISTS', KEYS[3]) == 0 then return {4, 0, 0} end
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
  redis.call('HSET', KEYS[2], id, bytes .. ' ' .. ARGV[9])
  redis.call('HINCRBY', KEYS[2], '', bytes)
end
redis.call('ZADD', KEYS[4], lapse, id)
local stored = settle()
local its = ARGV[10] == '' and 0
  or turn(KEYS[6], KEYS[7], jobs == 0, lapse, ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[12]))
return {1, jobs, its, stored}`

/**
 * Gives an admission back, in a full Redis too; the payload then lives as long as its other holders need it. With ARGV[2] above 0 it stays so many
 * milliseconds for another try, held under the name 'kept', unless all that are kept hold ARGV[3] bytes already.
 * Further keys: the kept payloads by lapse time, their bytes. Safe to repeat.
 */
export const releaseScript = `#!lua flags=allow-oom
${bytesOf}
${settle}
${redisNow}
local function keep(ms)
  for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now)) do
    redis.call('HINCRBY', KEYS[6], '', 0 - tonumber(redis.call('HGET', KEYS[6], lapsed) or 0))
    redis.call('HDEL', KEYS[6], lapsed)
    redis.call('ZREM', KEYS[5], lapsed)
  end
  local bytes = redis.call('STRLEN', KEYS[3])
  if bytes == 0 then return end
  if redis.call('HEXISTS', KEYS[6], ARGV[4]) == 0 then
    if tonumber(redis.call('HGET', KEYS[6], '') or 0) + bytes > tonumber(ARGV[3]) then return end
    redis.call('HSET', KEYS[6], ARGV[4], bytes)
    redis.call('HINCRBY', KEYS[6], '', bytes)
  end
  redis.call('ZADD', KEYS[5], 'GT', now + ms, ARGV[4])
  redis.call('ZADD', KEYS[4], 'GT', now + ms, 'kept')
  local last = redis.call('ZRANGE', KEYS[5], -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', KEYS[5], last)
  redis.call('PEXPIREAT', KEYS[6], last)
end
local held = bytesOf(ARGV[1])
if held > 0 then redis.call('HINCRBY', KEYS[2], '', -held) end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
if ARGV[2] ~= '0' then keep(tonumber(ARGV[2])) end
settle()
return 1`
