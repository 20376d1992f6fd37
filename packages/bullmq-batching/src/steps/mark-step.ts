import type { Step } from '../turns/step.ts'
import { queueOfCall } from './queue-of-call.ts'

/** Lua: puts back a marker that a Worker was woken by and has no use for, so that another Worker is. */
export const markSource = `${queueOfCall}
call('ZADD', P .. 'marker', ARGV[2], ARGV[1])
return 1`

export function markStep(base: string, { member, score }: { member: string; score: number }): Step {
  return { name: 'bull:mark', keys: [base], args: [member, score] }
}
