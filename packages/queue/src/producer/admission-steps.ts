import { nowLua } from '@vision-queue/blobs'
import type { Step, StepSources } from '@vision-queue/bullmq-batching'

import { admittedBytesKey, admittedKey, answerKey, placeOf } from '../keys.ts'
import { turnLua } from './turns.ts'

/** What an admitted job holds: `<bytes> <hashes> <owner> <space>`. */
const bytesOf = `local function bytesOf(id)
  return tonumber(string.match(redis.call('HGET', KEYS[2], id) or '0', '^%d+'))
end`

/** The Lua of admissions, by the names of its steps. */
export const admissionSteps: StepSources = {
  // The chain ends here where Redis comes to it after a time, as after a freeze: its caller has been told no by then.
  // The key only says where it runs. ARGV: that time in milliseconds.
  'admission:by': `${nowLua}
local late = now > tonumber(ARGV[1])
return late and 0 or 1, late`,
  /*
   * The bound on unfinished jobs, exact: one script drops lapsed admissions, checks count and bytes,
   * and admits, so no burst slips past it (a read-then-add gate let 1,130 jobs in at a limit of 1,000).
   * Where the answer is known already, nothing is admitted. The chain ends here for a job that is not admitted; of one
   * that is, it carries the turn.
   *
   * Keys: admitted ids by lapse time, their bytes by id (sum under ''), the answer that would do, and those of its turn
   * (turns.ts). The bytes are kept with the hashes and the owner, for orphan-sweep.ts. A resubmitted id keeps its place.
   */
  'admission:take': `${turnLua}
${bytesOf}
local answer = ARGV[7] ~= '' and redis.call('GET', KEYS[3])
if answer then return {2, answer, 0}, true end
${nowLua}
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
  if jobs >= tonumber(ARGV[4]) or held + bytes > tonumber(ARGV[5]) then return {0, jobs, held}, true end
  if jobs > tonumber(ARGV[6]) then return {3, jobs, held}, true end
  redis.call('ZADD', KEYS[1], lapse, id)
  redis.call('HSET', KEYS[2], id, bytes .. ' ' .. ARGV[8])
  redis.call('HINCRBY', KEYS[2], '', bytes)
end
local its = turn(KEYS[4], KEYS[5], jobs == 0, lapse, ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]))
chain.carry = string.format('%.0f', its)
return {1, jobs, its}`,
  // Safe to repeat. ARGV: id.
  'admission:release': `${bytesOf}
local held = bytesOf(ARGV[1])
if held > 0 then redis.call('HINCRBY', KEYS[2], '', -held) end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1`,
}

/** Runs with `next`. */
export const byStep = ({ keys }: Step, timeMs: number): Step => ({
  name: 'admission:by',
  keys: keys.slice(0, 1),
  args: [timeMs],
})

/** What is asked of the step that admits a job. */
export interface AdmitArguments {
  id: string
  lapseMs: number
  bytes: number
  maxJobs: number
  maxBytes: number
  mostAhead: number
  digest: string | null
  note: string
  turnKeys: readonly string[]
  turnArguments: readonly (string | number)[]
}

export function admitStep(place: string, asked: AdmitArguments): Step {
  const { id, lapseMs, bytes, maxJobs, maxBytes, mostAhead, digest, note } = asked
  const known = digest === null ? '' : 'digest'
  return {
    name: 'admission:take',
    keys: [admittedKey(place), admittedBytesKey(place), answerKey(place, digest ?? ''), ...asked.turnKeys],
    args: [lapseMs, id, bytes, maxJobs, maxBytes, mostAhead, known, note, ...asked.turnArguments],
  }
}

export const dischargeStep = (job: { id: string; model: string; part?: number | undefined }): Step => ({
  name: 'admission:release',
  keys: [admittedKey(placeOf(job)), admittedBytesKey(placeOf(job))],
  args: [job.id],
})
