import type { Step, StepSources } from '../turns/step.ts'

/** Small steps that show what turns do. */
export const countingSteps: StepSources = {
  add: `return redis.call('INCRBY', KEYS[1], ARGV[1])`,
  // Ends the chain where the counter has reached the limit.
  limit: `
    local now = tonumber(redis.call('GET', KEYS[1]) or 0)
    if now >= tonumber(ARGV[1]) then return 'refused', true end
    return 'admitted'`,
  remember: `chain.carry = ARGV[1] .. (chain.carry or '') return false`,
  recall: `redis.call('SET', KEYS[1], chain.carry or 'nothing') return chain.carry or 'nothing'`,
  tell: `publish(ARGV[1], ARGV[2]) return 1`,
  forget: `return redis.call('DEL', KEYS[1])`,
  read: `return redis.call('GET', KEYS[1])`,
  fail: `return redis.call('INCR', KEYS[1])`,
  crash: `return nothing.there`,
  list: `return { KEYS[1], KEYS[2], ARGV[1], ARGV[2], #KEYS, #ARGV }`,
  share: `chain.turn.count = (chain.turn.count or 0) + 1 return chain.turn.count`,
}

export const step = (name: string, key: string | string[], ...args: (string | number | Buffer)[]): Step => ({
  name,
  keys: typeof key === 'string' ? [key] : key,
  args,
})
