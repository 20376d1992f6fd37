import type { Step } from '../turns/step.ts'
import { queueOfCall } from './queue-of-call.ts'

/**
 * Lua: takes several jobs at once, each under a lock of its own. Replies with the jobs, each its id, its lock and its
 * fields; whether more may wait; when the next delayed job is due; and whether the queue has a rate limit, which
 * BullMQ's own script must obey: then nothing is taken.
 */
export const takeSource = `${queueOfCall}
local now, want, events = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[7] == '1'
local jobs, left, nextAt = {}, 1, 0
if queue.limited then return { jobs, 1, 0, 1 } end

local due = call('ZRANGEBYSCORE', P .. 'delayed', 0, string.format('%.0f', (now + 1) * 4096 - 1), 'LIMIT', 0, 1000)
for _, id in ipairs(due) do
  call('ZREM', P .. 'delayed', id)
  local priority = tonumber(call('HGET', P .. id, 'priority')) or 0
  if priority > 0 then prioritize(id, priority) else call('LPUSH', P .. 'wait', id) end
  if events then tell('waiting', 'jobId', id, 'prev', 'delayed') end
  call('HSET', P .. id, 'delay', 0)
end
if #due > 0 then mark() end

local room = want
if queue.most then room = math.min(room, queue.most - call('LLEN', P .. 'active')) end
if queue.paused then room = 0 end
if room > 0 then
  local ids = call('RPOP', P .. 'wait', room) or {}
  if #ids < room then
    local scored = call('ZPOPMIN', P .. 'prioritized', room - #ids)
    for i = 1, #scored, 2 do ids[#ids + 1] = scored[i] end
    if #ids < room then call('DEL', P .. 'pc') end
  end
  local taken = {}
  for i, id in ipairs(ids) do
    local job, lock = P .. id, ARGV[3] .. string.format('%.0f', tonumber(ARGV[4]) + i)
    local fields = call('HGETALL', job)
    -- An id without a job is forgotten.
    if #fields > 0 then
      taken[#taken + 1] = id
      call('SET', job .. ':lock', lock, 'PX', ARGV[5])
      if events then tell('active', 'jobId', id, 'prev', 'waiting') end
      call('HSET', job, 'processedOn', ARGV[1], unpack(ARGV[6] == '' and {} or { 'pb', ARGV[6] }))
      local started = call('HINCRBY', job, 'ats', 1)
      -- Of a field that comes twice, the later counts.
      for _, text in ipairs({ 'processedOn', ARGV[1], 'ats', tostring(started) }) do fields[#fields + 1] = text end
      if ARGV[6] ~= '' then
        fields[#fields + 1] = 'pb'
        fields[#fields + 1] = ARGV[6]
      end
      jobs[#jobs + 1] = { id, lock, fields }
    end
  end
  if #taken > 0 then call('LPUSH', P .. 'active', unpack(taken)) end
  left = #ids < room and 0 or (call('LLEN', P .. 'wait') + call('ZCARD', P .. 'prioritized'))
  queue.marked = false
  if left == 0 then call('ZREM', P .. 'marker', '0') else mark() end
end
if #jobs < want and not queue.paused then
  local first = call('ZRANGE', P .. 'delayed', 0, 0, 'WITHSCORES')
  if first[2] then nextAt = math.floor(tonumber(first[2]) / 4096) end
end
if events and queue.finished and call('EXISTS', P .. 'wait', P .. 'active', P .. 'prioritized') == 0 then
  tell('drained')
end
return { jobs, left, nextAt, 0 }`

export interface TakeOptions {
  readonly now: number
  /** How many at most. */
  readonly want: number
  /** Locks are this text and a number each, from `sequence + 1` on. */
  readonly lockBase: string
  readonly sequence: number
  readonly lockMs: number
  /** The Worker's name, kept in each job it takes; empty: none. */
  readonly workerName: string
  readonly events: boolean
}

export function takeStep(base: string, options: TakeOptions): Step {
  const { now, want, lockBase, sequence, lockMs, workerName, events } = options
  return { name: 'bull:take', keys: [base], args: [now, want, lockBase, sequence, lockMs, workerName, events ? 1 : 0] }
}
