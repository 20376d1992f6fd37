import type { Step } from '../turns/step.ts'
import { queueOfCall } from './queue-of-call.ts'

/** Lua: puts jobs back that were taken and not begun, in front of all others of their priority. Replies how many. */
export const backSource = `${queueOfCall}
local back, events = 0, ARGV[1] == '1'
for i = #ARGV - 1, 2, -2 do
  local id, job = ARGV[i], P .. ARGV[i]
  if call('GET', job .. ':lock') == ARGV[i + 1] and call('LREM', P .. 'active', -1, id) == 1 then
    call('DEL', job .. ':lock')
    call('SREM', P .. 'stalled', id)
    call('HINCRBY', job, 'ats', -1)
    local priority = tonumber(call('HGET', job, 'priority')) or 0
    if priority > 0 then call('ZADD', P .. 'prioritized', string.format('%.0f', priority * 4294967296), id)
    else call('RPUSH', P .. 'wait', id) end
    if events then tell('waiting', 'jobId', id, 'prev', 'active') end
    back = back + 1
  end
end
if back > 0 then
  queue.marked = false
  mark()
end
return back`

export function backStep(base: string, jobs: readonly { id: string; lock: string }[], events: boolean): Step {
  return { name: 'bull:back', keys: [base], args: [events ? 1 : 0, ...jobs.flatMap(({ id, lock }) => [id, lock])] }
}
