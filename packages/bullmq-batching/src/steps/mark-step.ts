import type { Step } from '../turns/step.ts'

/** Lua: puts back what a blocking read of the marker took away, unless there is a newer one. */
export const markSource = `return redis.call('ZADD', KEYS[1] .. 'marker', 'NX', ARGV[1], ARGV[2])`

export function markStep(base: string, { member, score }: { member: string; score: number }): Step {
  return { name: 'bull:mark', keys: [base], args: [score, member] }
}
