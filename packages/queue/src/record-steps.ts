import type { Step, StepSources } from '@vision-queue/bullmq-batching'

/** The Lua of a job's record and its place in its owner's list, by the names of its steps. */
export const recordSteps: StepSources = {
  // ARGV: the record, milliseconds.
  'record:set': `
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`,
  'record:unlink': `return redis.call('UNLINK', KEYS[1])`,
  // ARGV: the score and the entry; where the list is to be cut: to how many, and when it lapses (milliseconds); else ''.
  'list:add': `
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] ~= '' then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1`,
  // ARGV: milliseconds.
  'key:expire': `return redis.call('PEXPIRE', KEYS[1], ARGV[1])`,
}

export const recordStep = (key: string, record: string, forMs: number): Step => ({
  name: 'record:set',
  keys: [key],
  args: [record, forMs],
})

export const unlinkStep = (key: string): Step => ({ name: 'record:unlink', keys: [key], args: [] })

/** `cut`: to what length, and when the list lapses; null: it isn't its time. */
export const listStep = (
  key: string,
  { at, entry }: { at: number; entry: string },
  cut: { length: number; keepMs: number } | null,
): Step => ({ name: 'list:add', keys: [key], args: [at, entry, cut?.length ?? '', cut?.keepMs ?? ''] })

export const expireStep = (key: string, forMs: number): Step => ({ name: 'key:expire', keys: [key], args: [forMs] })
