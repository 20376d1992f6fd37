import type { Step } from '../turns/step.ts'
import { queueOfCall } from './queue-of-call.ts'

/**
 * Lua: ends a job that its Worker has done. Replies 0; 1 where the job is of a kind that BullMQ's own script must end;
 * else what is wrong, in BullMQ's own numbers, and then nothing is changed.
 */
export const finishSource = `${queueOfCall}
local id, lock, now, keep, events = ARGV[1], ARGV[2], ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'
local job = P .. id
local known = call('HMGET', job, 'name', 'parentKey', 'deid')
if not known[1] then return -1 end
if known[2] or known[3] or call('EXISTS', job .. ':dependencies', job .. ':unsuccessful') > 0 then return 1 end
local held = call('GET', job .. ':lock')
if held ~= lock then return held and -6 or -2 end

local gone, old = {}, {}
local function remove(key)
  for _, part in ipairs({ '', ':logs', ':dependencies', ':processed', ':failed', ':unsuccessful' }) do
    gone[#gone + 1] = key .. part
  end
end
if keep > 0 then
  local surplus = call('ZCARD', P .. 'completed') + 1 - keep
  if surplus > 1000 then return 1 end
  if surplus > 0 then old = call('ZRANGE', P .. 'completed', 0, surplus - 1) end
  for _, other in ipairs(old) do
    if call('HEXISTS', P .. other, 'parentKey') == 1 then return 1 end
    remove(P .. other)
  end
end
if call('LREM', P .. 'active', -1, id) < 1 then return -3 end

gone[#gone + 1] = job .. ':lock'
call('SREM', P .. 'stalled', id)
if keep == 0 then
  remove(job)
else
  call('ZADD', P .. 'completed', now, id)
  call('HSET', job, 'returnvalue', ARGV[3], 'finishedOn', now)
  call('HINCRBY', job, 'atm', 1)
  if #old > 0 then call('ZREM', P .. 'completed', unpack(old)) end
end
call('UNLINK', unpack(gone))
queue.finished = true
if events then
  tell('completed', 'jobId', id, 'returnvalue', ARGV[3], 'prev', 'active')
  if ARGV[7] == '0' and call('EXISTS', P .. 'wait', P .. 'active', P .. 'prioritized') == 0 then tell('drained') end
end
return 0`

/** A job that was done, and how it is to be kept. */
export interface FinishedJob {
  readonly id: string
  /** The text under the job's lock. */
  readonly lock: string
  /** The return value as JSON. */
  readonly value: string
  readonly now: number
  /** How many completed jobs the queue keeps, this one among them; -1: all. */
  readonly keep: number
  readonly events: boolean
  /** Whether jobs are taken in the same call. */
  readonly takes: boolean
}

export function finishStep(base: string, job: FinishedJob): Step {
  const { id, lock, value, now, keep, events, takes } = job
  return { name: 'bull:finish', keys: [base], args: [id, lock, value, now, keep, events ? 1 : 0, takes ? 1 : 0] }
}
