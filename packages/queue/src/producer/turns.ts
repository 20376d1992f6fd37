import type { Priority } from '@vision-queue/protocol'
import { placeOf, queueNameOf, turnsKey, waitingKey } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'

/**
 * The order of waiting jobs: start-time fair queueing (Goyal, Vin, Cheng 1996). Each owner has a flow per
 * priority. A job starts where its flow's last one ended, or where the queue is now, whichever is later, and the
 * lowest start is taken first: who has 10,000 jobs waiting is as far as 10,000 jobs reach, and another's first one
 * comes right after those that are taken now. Nothing is looked at again later: the number is BullMQ's priority.
 *
 * A priority is a head start, in rounds, and a share: with several flows busy, one of `high` has twice the jobs of
 * one of `normal`, and that four times those of `low`. As the clock goes on with every job, none waits for ever.
 *
 * Starts are counted in units, `unitsPerRound` to a round; BullMQ has 2^21 priorities, a round each, and jobs of
 * one round come in their order. The clock is read off the job at the head of the queue. It begins anew whenever
 * the model has no unfinished job; where that never happens, all is set back by half the range at half of it.
 * Jobs that are on their way or with a consumer at that moment are set back when they are seen waiting.
 */
const unitsPerRound = 32

/** What a job takes of its flow's time (units), and how many rounds it stands back. */
const classes: Record<Priority, { units: number; rounds: number }> = {
  high: { units: 2, rounds: 0 },
  normal: { units: 4, rounds: 4 },
  low: { units: 16, rounds: 36 },
}

export interface TurnOptions {
  /** How many of BullMQ's priorities there are to use, at least 1024. Default: all, 2^21. */
  rounds?: number
}

/** Keys for `turnLua`: the flows, the jobs that wait. */
export const turnKeys = (job: QueuedJob): string[] => [
  turnsKey(placeOf(job), queueNameOf(job)),
  waitingKey(placeOf(job), queueNameOf(job)),
]

/** Arguments for `turnLua`: flow, units, rounds, all rounds. */
export function turnArguments(
  { owner, priority }: QueuedJob,
  { rounds: all = 2 ** 21 }: TurnOptions = {},
): (string | number)[] {
  const { units, rounds } = classes[priority]
  return [`${priority} ${owner ?? ''}`, units, rounds, all]
}

/**
 * Defines `turn(flows, waiting, idle, lapse, flow, units, rounds, all)`, which resolves to the job's priority. Keys of
 * BullMQ are read, and written only when all is set back.
 */
export const turnLua = `
local function turn(flows, waiting, idle, lapse, flow, units, rounds, all)
  local round, half, level = ${unitsPerRound}, all / 2, 4294967296
  local head = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
  if idle and not head then
    redis.call('DEL', flows)
    return rounds + 1
  end
  local stored = redis.call('HMGET', flows, 'clock', 'last', flow)
  local clock, last, own = tonumber(stored[1] or 0), tonumber(stored[2] or 0), tonumber(stored[3] or 0)
  if head then
    local at = (math.floor(tonumber(head) / level) - 1) * round
    clock = math.max(math.min(clock, at), at - ${classes.normal.rounds} * round)
  else
    clock = math.max(clock, last)
  end
  local function setBack()
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', waiting, half * level, '+inf')) do
      redis.call('ZINCRBY', waiting, -half * level, id)
    end
  end
  if clock >= half * round then
    local stored = redis.call('HGETALL', flows)
    for index = 1, #stored, 2 do
      redis.call('HSET', flows, stored[index], math.max(0, stored[index + 1] - half * round))
    end
    clock, last, own = clock - half * round, math.max(0, last - half * round), math.max(0, own - half * round)
    setBack()
  end
  local start = math.min(math.max(clock, own), clock + half * round / 2 - 64 * round)
  own = start + units
  redis.call('HSET', flows, 'clock', clock, 'last', math.max(last, own), flow, own)
  if start == 0 or math.floor(own / round) > math.floor(start / round) then
    redis.call('PEXPIREAT', flows, lapse)
    if clock < half * round / 2 then setBack() end
  end
  return math.floor(start / round) + rounds + 1
end`
