import type { JobJson, ParentKeyOpts } from 'bullmq'

/** The options that `bull:add` understands. A job with any other one is BullMQ's own to add, whatever it means. */
const plainOptions = new Set([
  'attempts',
  'backoff',
  'delay',
  'jobId',
  'lifo',
  'priority',
  'removeOnComplete',
  'removeOnFail',
  'stackTraceLimit',
  'timestamp',
])

/** Whether the job only waits for its turn: no parent, no deduplication, no repetition, no delay. */
export function isPlain(job: JobJson, parent: ParentKeyOpts | undefined): boolean {
  const { opts } = job
  if (parent?.parentKey !== undefined || parent?.addToWaitingChildren !== undefined) return false
  if (job.parentKey !== undefined || job.parent !== undefined) return false
  if (job.repeatJobKey !== undefined || job.deduplicationId !== undefined) return false
  if (opts.delay !== undefined && opts.delay !== 0) return false
  return Object.entries(opts).every(([name, value]) => value === undefined || plainOptions.has(name))
}
