/**
 * Lua that the steps of a queue begin with. `KEYS[1]` is what all keys of the queue begin with, such as `bull:name:`.
 * Gives `P`, that text; `queue`, what the queue's settings say, read once a call; `tell`, which writes to BullMQ's
 * event stream. No step of the same call may write the queue's `meta` before them.
 */
export const queueOfCall = `
local P, call = KEYS[1], redis.call
local queue = chain.turn['bull ' .. P]
if not queue then
  local meta = call('HMGET', P .. 'meta', 'paused', 'concurrency', 'max', 'opts.maxLenEvents')
  queue = { paused = meta[1], most = tonumber(meta[2]), limited = meta[3], maxEvents = tonumber(meta[4]) or 10000 }
  chain.turn['bull ' .. P] = queue
end
local function tell(...) call('XADD', P .. 'events', 'MAXLEN', '~', queue.maxEvents, '*', 'event', ...) end
-- A queue that is paused or has as many active jobs as it may wakes nobody.
local function mark()
  if queue.marked or queue.paused or (queue.most and call('LLEN', P .. 'active') >= queue.most) then return end
  call('ZADD', P .. 'marker', 0, '0')
  queue.marked = true
end
-- The lowest number first; of one number, in the order of coming.
local function prioritize(id, priority)
  local turn = call('INCR', P .. 'pc') % 4294967296
  call('ZADD', P .. 'prioritized', string.format('%.0f', priority * 4294967296 + turn), id)
end
`
