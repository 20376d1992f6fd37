import type { Step, StepSources } from '@vision-queue/bullmq-batching'

import { nowLua } from './blob-steps.ts'

/** Both of one hash tag. */
export interface BudgetKeys {
  /** ZSET: the entries by when they lapse. */
  lapses: string
  /** HASH: their bytes, and the sum of them under the empty field. */
  bytes: string
}

const preamble = `${nowLua}
local function drop(id)
  redis.call('HINCRBY', KEYS[2], '', 0 - tonumber(redis.call('HGET', KEYS[2], id) or 0))
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
end
local function enter(id, ms)
  redis.call('ZADD', KEYS[1], 'GT', now + ms, id)
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIREAT', KEYS[1], last)
  redis.call('PEXPIREAT', KEYS[2], last)
end`

/** The Lua of budgets, by the names of its steps. */
export const budgetSteps: StepSources = {
  // ARGV: id, bytes, milliseconds, the most bytes. {1, 1 where it is new} or {0, milliseconds until there is room}.
  'budget:take': `${preamble}
for _, lapsed in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do drop(lapsed) end
local new = redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0
if new then
  local over = tonumber(redis.call('HGET', KEYS[2], '') or 0) + ARGV[2] - ARGV[4]
  if over > 0 then
    local soonest = redis.call('ZRANGE', KEYS[1], 0, 999, 'WITHSCORES')
    for index = 1, #soonest, 2 do
      over = over - redis.call('HGET', KEYS[2], soonest[index])
      if over <= 0 or index == #soonest - 1 then return {0, soonest[index + 1] - now} end
    end
    return {0, 0}
  end
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  redis.call('HINCRBY', KEYS[2], '', ARGV[2])
end
enter(ARGV[1], ARGV[3])
return {1, new and 1 or 0}`,
  // ARGV: id, milliseconds.
  'budget:extend': `${preamble}
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then enter(ARGV[1], ARGV[2]) end
return 1`,
  // ARGV: id.
  'budget:release': `${preamble}
drop(ARGV[1])
if redis.call('ZCARD', KEYS[1]) == 0 then redis.call('UNLINK', KEYS[1], KEYS[2]) end
return 1`,
}

/** What `Budget.take` does, for a chain of the caller's own; `readTaken` reads what it replies. */
export const takeStep = (
  keys: BudgetKeys,
  id: string,
  { bytes, forMs, maxBytes }: { bytes: number; forMs: number; maxBytes: number },
): Step => budgetStep('take', keys, [id, bytes, forMs, maxBytes])

/** Whether there was room. */
export function readTaken(reply: unknown): boolean {
  return Array.isArray(reply) && reply[0] === 1
}

export const budgetStep = (
  what: 'take' | 'extend' | 'release',
  { lapses, bytes }: BudgetKeys,
  args: readonly (string | number)[],
): Step => ({ name: `budget:${what}`, keys: [lapses, bytes], args })
