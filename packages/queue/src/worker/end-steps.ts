import { nowLua } from '@vision-queue/blobs'
import type { Step, StepSources } from '@vision-queue/bullmq-batching'

import { answerKey, jobChannel, placeOf, replyChannel, resultKey } from '../keys.ts'
import { takesLists } from '../reply-name.ts'
import type { JobChange } from '../job-change.ts'
import type { QueuedJob } from '../queued-job.ts'

/** The Lua of a job's end, by the names of its steps. */
export const endSteps: StepSources = {
  // The first final state stays, and is published by the step that wrote it: no waiter sees two. Gives 1; where there
  // was one already it is given, and the chain ends here. ARGV: the final job, milliseconds, the job's channel, the
  // channel of the process that waits or '', whether that one takes lists.
  'result:first': `
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return redis.call('GET', KEYS[1]) or '', true end
local message = '{"kind":"final","job":' .. ARGV[1] .. '}'
redis.call('PUBLISH', ARGV[3], message)
if ARGV[5] == 'lists' then publish(ARGV[4], message) elseif ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[4], message) end
return 1`,
  // ARGV: the answer, milliseconds.
  'answer:keep': `
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`,
  // The key only says which node of a Cluster it runs on. ARGV: channel, message.
  'change:publish': `return redis.call('PUBLISH', ARGV[1], ARGV[2])`,
  // Keys: the counts. ARGV: bytes, milliseconds until they lapse, milliseconds of a step. Gives the sum.
  'ended:count': `${nowLua}
local step = tonumber(ARGV[3])
if tonumber(ARGV[1]) > 0 then
  local lapse = string.format('%.0f', math.ceil((now + ARGV[2]) / step) * step)
  redis.call('HINCRBY', KEYS[1], lapse, ARGV[1])
  if redis.call('PTTL', KEYS[1]) < lapse - now then redis.call('PEXPIREAT', KEYS[1], lapse) end
end
local sum, counts = 0, redis.call('HGETALL', KEYS[1])
for index = 1, #counts, 2 do
  if tonumber(counts[index]) <= now then
    redis.call('HDEL', KEYS[1], counts[index])
  else
    sum = sum + counts[index + 1]
  end
end
return sum`,
}

/** Stores and publishes a final state, given as its JSON. */
export const resultStep = ({ id, replyTo }: Pick<QueuedJob, 'id' | 'replyTo'>, json: string, forMs: number): Step => ({
  name: 'result:first',
  keys: [resultKey(id)],
  args: [
    json,
    forMs,
    jobChannel(id),
    replyTo === null ? '' : replyChannel(replyTo),
    replyTo !== null && takesLists(replyTo) ? 'lists' : '',
  ],
})

export const answerStep = (
  job: Pick<QueuedJob, 'model' | 'part'>,
  digest: string,
  answer: string,
  forMs: number,
): Step => ({
  name: 'answer:keep',
  keys: [answerKey(placeOf(job), digest)],
  args: [answer, forMs],
})

/**
 * Tells a job's readers of a change. On a Cluster a job's changes all go out from the node that has its result, for
 * messages that come from two nodes may overtake each other.
 */
export const changeStep = (id: string, change: JobChange): Step => ({
  name: 'change:publish',
  keys: [resultKey(id)],
  args: [jobChannel(id), JSON.stringify(change)],
})

/** Counts bytes that lapse in `ttlMs`, by steps of time; gives the sum of those that have not lapsed. */
export const countStep = (key: string, bytes: number, { ttlMs, stepMs }: { ttlMs: number; stepMs: number }): Step => ({
  name: 'ended:count',
  keys: [key],
  args: [bytes, ttlMs, stepMs],
})
