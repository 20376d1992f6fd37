import type { EngineAnswer } from '@vision-queue/engine/messages'
import { VisionQueueError } from '@vision-queue/protocol'

import type { Moment } from './engine-event.ts'
import { HandedBackError, ImagesUnreadError, type InferenceRequest } from './inference.ts'
import { assignJobs } from './job-assignment.ts'
import type { Action } from './pool-action.ts'
import type { Pool } from './pool.ts'
import { countJob } from './pool-figures.ts'
import type { PoolJob } from './pool-job.ts'

/** Takes a job in. It is not handed out yet. */
export function enterJob(pool: Pool, request: Omit<InferenceRequest, 'signal'>): PoolJob {
  const { alone = false, onTokens, id: callerId, context, images, input, parameters, deadlineAt } = request
  pool.entries += 1
  const id = String(pool.entries)
  const job = { id, images, input, parameters, deadlineAt, stream: onTokens !== undefined }
  const entered: PoolJob = { job, callerId, context, settled: false, suspect: alone, deaths: 0 }
  pool.jobs.set(job.id, entered)
  const { queue } = pool
  pool.queue = alone
    ? { ...queue, suspects: [...queue.suspects, entered] }
    : { ...queue, waiting: [...queue.waiting, entered] }
  return entered
}

/** Gives the engines what they have room for. */
export function handOutJobs(pool: Pool, now: Moment): Action[] {
  if (pool.closedBy !== null || pool.manifest === null) return []
  // Two batches and a job: a batch that runs, one that is prepared, and a job to decode while the run holds the
  // engine's thread and nothing can be fetched.
  const { given, queue } = assignJobs(pool.queue, pool.engines, 2 * pool.manifest.maxBatchSize + 1)
  pool.queue = queue
  return [...given].map(([engine, jobs]) => {
    if (engine.handed.size === 0) {
      engine.quietSince = now.ms
      engine.memoryKnownAt = now.ms
    }
    for (const job of jobs) engine.handed.set(job.job.id, job)
    return { kind: 'send', engine, message: { kind: 'jobs', jobs: jobs.map(({ job }) => job) } }
  })
}

/** An engine's answer to a job; `variant` is the graph that it runs. */
export function answerJob(pool: Pool, job: PoolJob, answer: EngineAnswer, variant: string): Action[] {
  switch (answer.kind) {
    case 'value': {
      if (!settle(pool, job)) return []
      const { kind: _kind, id: _id, ...result } = answer
      countJob(pool.figures, 'succeeded', result.preprocessMs)
      return [{ kind: 'resolve', job, result: { ...result, variant } }]
    }
    case 'error': {
      const { code, detail } = answer.error
      return failJob(pool, job, new VisionQueueError(code, detail, { cause: answer.cause ?? undefined }))
    }
    case 'canceled':
      return []
    case 'unread':
      // Not counted: it is not how the job ended.
      return settle(pool, job)
        ? [{ kind: 'reject', job, reason: new ImagesUnreadError({ cause: answer.cause ?? undefined }) }]
        : []
    default:
      return answer satisfies never
  }
}

export function failJob(pool: Pool, job: PoolJob, error: VisionQueueError): Action[] {
  if (!settle(pool, job)) return []
  countJob(pool.figures, error.code === 'deadline_exceeded' ? 'expired' : 'failed')
  return [{ kind: 'reject', job, reason: error }]
}

/** Its caller wants it no more: it rejects with `reason`, and its engine drops it if its batch is not launched yet. */
export function cancelJob(pool: Pool, job: PoolJob, reason: unknown): Action[] {
  if (!settle(pool, job)) return []
  countJob(pool.figures, 'canceled')
  const { id } = job.job
  const engine = pool.engines.find(({ handed }) => handed.has(id))
  const rejected: Action = { kind: 'reject', job, reason }
  return engine === undefined ? [rejected] : [rejected, { kind: 'send', engine, message: { kind: 'cancel', id } }]
}

/** Rejects jobs of which nothing is known: they may be run elsewhere. */
export function handBack(pool: Pool, jobs: Iterable<PoolJob>, reason: Error = new HandedBackError()): Action[] {
  return [...jobs].filter((job) => settle(pool, job)).map((job) => ({ kind: 'reject', job, reason }))
}

/** Hands back the jobs that no engine has. */
export function handBackQueue(pool: Pool): Action[] {
  const jobs = [...pool.queue.suspects, ...pool.queue.waiting]
  pool.queue = { ...pool.queue, suspects: [], waiting: [] }
  return handBack(pool, jobs)
}

function settle(pool: Pool, job: PoolJob): boolean {
  if (job.settled) return false
  job.settled = true
  pool.jobs.delete(job.job.id)
  return true
}
