import type { Step, StepSources } from '@vision-queue/bullmq-batching'

export const queueSteps: StepSources = {
  'bull:add': `
if redis.call('EXISTS', KEYS[1]) == 1 then return ARGV[1] end
local priority = tonumber(ARGV[7] == '1' and chain.carry or ARGV[6])
redis.call('HSET', KEYS[1], 'name', ARGV[2], 'data', ARGV[3], 'opts', ARGV[4], 'timestamp', ARGV[5], 'delay', 0, 'priority', priority)
if priority > 0 then
  redis.call('ZADD', KEYS[3], string.format('%.0f', priority * 4294967296 + redis.call('INCR', KEYS[5]) % 4294967296), ARGV[1])
else redis.call('LPUSH', KEYS[2], ARGV[1]) end
redis.call('ZADD', KEYS[4], 0, '0')
return ARGV[1]`,
}
export function addStep(
  { prefix, name: queue }: { prefix: string; name: string },
  {
    id,
    name,
    data,
    opts,
    timestamp,
  }: { id: string; name: string; data: unknown; opts: { priority?: number }; timestamp: number },
  { priorityFromCarry }: { priorityFromCarry: boolean },
): Step {
  const key = (what: string): string => `${prefix}:${queue}:${what}`
  return {
    name: 'bull:add',
    keys: [key(id), key('wait'), key('prioritized'), key('marker'), key('pc')],
    args: [
      id,
      name,
      JSON.stringify(data),
      JSON.stringify(opts),
      timestamp,
      opts.priority ?? 0,
      priorityFromCarry ? '1' : '',
    ],
  }
}
