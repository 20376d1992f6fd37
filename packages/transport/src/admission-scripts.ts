import { turnLua } from './turns.ts'

/**
 * The bound on unfinished jobs, exact: one script drops lapsed admissions, checks count and bytes,
 * and admits, so no burst slips past it (a read-then-add gate let 1,130 jobs in at a limit of 1,000).
 * Where the answer is known already, nothing is admitted. The payload itself follows only where it isn't
 * there yet, and never through the script: Redis' Lua hashes a string to its last byte, which for 50 KB
 * was a quarter of all the CPU that Redis spent on a job.
 *
 * Keys: admitted ids by lapse time, payload bytes by id (sum under ''), the payload, its holders, the
 * answer that would do, and those of its turn (turns.ts). A payload lives while a job holds it; a resubmitted id keeps its place.
 */
export const admitScript = (rounds?: number): string => `${turnLua(rounds)}
local answer = ARGV[8] == '1' and redis.call('GET', KEYS[5])
if answer then return {2, answer, 0} end
if ARGV[9] == '1' and redis.call('EXISTS', KEYS[3]) == 0 then return {4, 0, 0} end
local now, lapse, id, bytes = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('HINCRBY', KEYS[2], '', -tonumber(redis.call('HGET', KEYS[2], lapsed) or 0))
  redis.call('HDEL', KEYS[2], lapsed)
  redis.call('ZREM', KEYS[1], lapsed)
end
local jobs = redis.call('ZCARD', KEYS[1])
local held = tonumber(redis.call('HGET', KEYS[2], '') or 0)
if not redis.call('ZSCORE', KEYS[1], id) then
  if jobs >= tonumber(ARGV[5]) or held + bytes > tonumber(ARGV[6]) then return {0, jobs, held} end
  if jobs > tonumber(ARGV[7]) then return {3, jobs, held} end
  redis.call('ZADD', KEYS[1], lapse, id)
  redis.call('HSET', KEYS[2], id, bytes)
  redis.call('HINCRBY', KEYS[2], '', bytes)
end
redis.call('ZADD', KEYS[4], lapse, id)
redis.call('PEXPIREAT', KEYS[4], lapse)
local stored = redis.call('PEXPIREAT', KEYS[3], lapse)
local its = ARGV[10] == '' and 0
  or turn(KEYS[6], KEYS[7], jobs == 0, lapse, ARGV[10], tonumber(ARGV[11]), tonumber(ARGV[12]))
return {1, jobs, its, stored}`

/**
 * Gives an admission back; the payload goes with its last holder. With ARGV[3] above 0 it stays so many
 * milliseconds for another try, held under the name 'kept', unless all that are kept hold ARGV[4] bytes already.
 * Further keys: the kept payloads by lapse time, their bytes. Safe to repeat.
 */
export const releaseScript = `
local function keep(now, ms)
  for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now)) do
    redis.call('HINCRBY', KEYS[6], '', -tonumber(redis.call('HGET', KEYS[6], lapsed) or 0))
    redis.call('HDEL', KEYS[6], lapsed)
    redis.call('ZREM', KEYS[5], lapsed)
  end
  local bytes = redis.call('STRLEN', KEYS[3])
  if bytes == 0 then return end
  if redis.call('HEXISTS', KEYS[6], ARGV[5]) == 0 then
    if tonumber(redis.call('HGET', KEYS[6], '') or 0) + bytes > tonumber(ARGV[4]) then return end
    redis.call('HSET', KEYS[6], ARGV[5], bytes)
    redis.call('HINCRBY', KEYS[6], '', bytes)
  end
  redis.call('ZADD', KEYS[5], now + ms, ARGV[5])
  redis.call('ZADD', KEYS[4], now + ms, 'kept')
  local alone = redis.call('ZCARD', KEYS[4]) == 1
  for _, key in ipairs({KEYS[3], KEYS[4]}) do
    if alone then redis.call('PEXPIREAT', key, now + ms) else redis.call('PEXPIREAT', key, now + ms, 'GT') end
  end
  redis.call('PEXPIRE', KEYS[5], ms)
  redis.call('PEXPIRE', KEYS[6], ms)
end
local bytes = redis.call('HGET', KEYS[2], ARGV[1])
if bytes then
  redis.call('HINCRBY', KEYS[2], '', -tonumber(bytes))
  redis.call('HDEL', KEYS[2], ARGV[1])
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[2])
if ARGV[3] ~= '0' then keep(tonumber(ARGV[2]), tonumber(ARGV[3])) end
if redis.call('ZCARD', KEYS[4]) == 0 then redis.call('UNLINK', KEYS[3]) end
return 1`
