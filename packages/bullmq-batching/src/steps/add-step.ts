import type { JobsOptions } from 'bullmq'

import type { Step } from '../turns/step.ts'
import { queueOfCall } from './queue-of-call.ts'

/** Lua: stores a job and puts it where BullMQ's Workers take it from. Replies with its id. */
export const addSource = `${queueOfCall}
local id, opts, priority, events = ARGV[1], ARGV[4], tonumber(ARGV[6]), ARGV[8] == '1'
if ARGV[9] == '1' and chain.carry then
  priority = tonumber(chain.carry)
  if priority > 0 then opts = '{"priority":' .. chain.carry .. (opts == '{}' and '}' or ',' .. string.sub(opts, 2)) end
end
local counter = call('INCR', P .. 'id')
if id == '' then id = string.format('%.0f', counter) end
local job = P .. id
if call('EXISTS', job) == 1 then
  if events then tell('duplicated', 'jobId', id) end
  return id
end
call('HSET', job, 'name', ARGV[2], 'data', ARGV[3], 'opts', opts, 'timestamp', ARGV[5], 'delay', 0, 'priority', priority)
if events then tell('added', 'jobId', id, 'name', ARGV[2]) end
if priority > 0 then prioritize(id, priority)
elseif ARGV[7] == '1' then call('RPUSH', P .. 'wait', id)
else call('LPUSH', P .. 'wait', id) end
mark()
if events then tell('waiting', 'jobId', id) end
return id`

/** The options of a plain job: one that only waits for its turn. */
export type PlainJobOptions = Pick<
  JobsOptions,
  'attempts' | 'backoff' | 'lifo' | 'priority' | 'removeOnComplete' | 'removeOnFail' | 'stackTraceLimit'
>

export interface PlainJob {
  /** Empty: BullMQ's own counter gives it one. */
  readonly id: string
  readonly name: string
  /** Any value that JSON can hold. Default: {}. */
  readonly data?: unknown
  /** The same as JSON, of whoever has it in that form already. Default: made of `data`. */
  readonly dataJson?: string
  readonly opts: PlainJobOptions
  /** When it came, in milliseconds since 1970. Default: now. */
  readonly timestamp?: number
}

export interface AddStepOptions {
  /** The step that runs before it leaves the priority as `chain.carry`: a whole number, 0 for none. Default: false. */
  readonly priorityFromCarry?: boolean
  /** Writes the entries of BullMQ's event stream, which QueueEvents reads. Default: false. */
  readonly events?: boolean
}

/**
 * The step that does what `Queue.add` does for a plain job, for a chain of the caller's own: steps in front of it may
 * stop the chain, or decide on the priority. Replies with the job's id; a job of the same id that is there already
 * stays as it is.
 */
export function addStep(
  queue: { readonly prefix: string; readonly name: string },
  { id, name, data, dataJson = JSON.stringify(data ?? {}), opts, timestamp = Date.now() }: PlainJob,
  { priorityFromCarry = false, events = false }: AddStepOptions = {},
): Step {
  const { backoff, ...others } = opts
  const stored = {
    // BullMQ stores it so.
    attempts: 0,
    ...others,
    ...(backoff === undefined
      ? {}
      : { backoff: typeof backoff === 'number' ? { type: 'fixed', delay: backoff } : backoff }),
  }
  const json = { id, name, data: dataJson, timestamp, opts: stored }
  return storedStep(`${queue.prefix}:${queue.name}:`, json, { priorityFromCarry, events })
}

/** The same of a job as BullMQ hands it to its backend. `base` is what all keys of the queue begin with. */
export function storedStep(
  base: string,
  job: {
    readonly id: string
    readonly name: string
    readonly data: string
    readonly timestamp: number
    readonly opts: JobsOptions
  },
  { priorityFromCarry, events }: Required<AddStepOptions>,
): Step {
  const { id, name, data, timestamp, opts } = job
  const flag = (is: boolean | undefined): string => (is === true ? '1' : '0')
  const args = [id, name, data, JSON.stringify(opts), timestamp, opts.priority ?? 0, flag(opts.lifo), flag(events)]
  return { name: 'bull:add', keys: [base], args: [...args, flag(priorityFromCarry)] }
}
