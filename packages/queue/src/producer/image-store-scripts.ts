/*
 * Scripts over the uploaded images. Keys of each: the lapses of all images, their facts, one image's bytes,
 * its holders. Whatever changes an image's holders is followed by `settle`, so that bytes, bookkeeping and
 * bound agree; Redis' own clock tells the time, so that those of API processes need not agree.
 */
const preamble = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local hash = ARGV[1]

local function bytesOf(hash)
  local facts = redis.call('HGET', KEYS[2], hash)
  return facts and cjson.decode(facts).bytes or 0
end
local function forget(hash)
  redis.call('HINCRBY', KEYS[2], '', 0 - bytesOf(hash))
  redis.call('HDEL', KEYS[2], hash)
  redis.call('ZREM', KEYS[1], hash)
end
local function settle()
  local last = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')[2]
  if last and tonumber(last) > now then
    redis.call('ZADD', KEYS[1], last, hash)
    redis.call('PEXPIREAT', KEYS[3], last)
    redis.call('PEXPIREAT', KEYS[4], last)
  elseif redis.call('ZSCORE', KEYS[1], hash) then
    forget(hash)
    redis.call('UNLINK', KEYS[3], KEYS[4])
  end
end
local function expiry()
  local expires = tonumber(redis.call('ZSCORE', KEYS[4], 'upload') or 0)
  return expires > now and redis.call('EXISTS', KEYS[3]) == 1 and expires or nil
end`

/** ARGV: hash, milliseconds to keep it, the most bytes of all, its facts, its bytes. {1, expiry} or {0, milliseconds until there is room}. */
export const keepScript = `${preamble}
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do forget(lapsed) end
if redis.call('ZSCORE', KEYS[1], hash) and redis.call('EXISTS', KEYS[3]) == 0 then forget(hash) end
if not redis.call('ZSCORE', KEYS[1], hash) then
  local bytes = cjson.decode(ARGV[4]).bytes
  local over = tonumber(redis.call('HGET', KEYS[2], '') or 0) + bytes - tonumber(ARGV[3])
  if over > 0 then
    local soonest = redis.call('ZRANGE', KEYS[1], 0, 999, 'WITHSCORES')
    for index = 1, #soonest, 2 do
      over = over - bytesOf(soonest[index])
      if over <= 0 or index == #soonest - 1 then return {0, soonest[index + 1] - now} end
    end
    return {0, 0}
  end
  redis.call('HSET', KEYS[2], hash, ARGV[4])
  redis.call('HINCRBY', KEYS[2], '', bytes)
  redis.call('UNLINK', KEYS[4])
  redis.call('SET', KEYS[3], ARGV[5])
end
redis.call('ZADD', KEYS[4], 'GT', now + ARGV[2], 'upload')
settle()
return {1, expiry()}`

/** ARGV: hash. {facts, expiry} or false. */
export const readScript = `${preamble}
local expires = expiry()
return expires and {redis.call('HGET', KEYS[2], hash), expires}`

/** ARGV: hash, milliseconds to keep the upload, job, milliseconds to keep it for the job. {facts, expiry} or false. */
export const holdScript = `${preamble}
if not expiry() then return false end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
redis.call('ZADD', KEYS[4], 'GT', now + ARGV[2], 'upload', now + ARGV[4], ARGV[3])
settle()
return {redis.call('HGET', KEYS[2], hash), expiry()}`

/** ARGV: hash, a job that holds it, for how many milliseconds more. 1 where its bytes are there. */
export const extendScript = `${preamble}
if redis.call('EXISTS', KEYS[3]) == 0 then return 0 end
redis.call('ZADD', KEYS[4], 'GT', now + ARGV[3], ARGV[2])
settle()
return 1`

/** ARGV: hash, a holder. 1 where it held the image. In a full Redis too, as a job's end. */
export const releaseScript = `#!lua flags=allow-oom
${preamble}
local held = redis.call('ZREM', KEYS[4], ARGV[2])
if held == 1 then settle() end
return held`
