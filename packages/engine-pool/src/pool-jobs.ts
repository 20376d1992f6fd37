import { VisionQueueError } from '@vision-queue/protocol'

import { createDeferred } from '@vision-queue/process'
import type { EngineAnswer } from '@vision-queue/engine/messages'
import { HandedBackError, type InferenceRequest, type InferenceResult } from './inference.ts'
import type { BoardJob } from './job-board.ts'
import type { PoolStats } from './pool-stats.ts'

/** A job in a pool, and who waits for it. */
export interface PoolJob extends BoardJob {
  /** The caller's id. Inside the pool a job has a number: the same id may be asked for twice at a time. */
  callerId: string
  /** The request that it came with, for the log. */
  context: InferenceRequest['context']
  onTokens: InferenceRequest['onTokens']
  resolve: (result: InferenceResult) => void
  reject: (reason: unknown) => void
}

/** The jobs of a pool whose callers wait; each is settled once. */
export interface PoolJobs {
  /** Callers without an answer. */
  readonly unanswered: ReadonlySet<PoolJob>
  enter: (request: Omit<InferenceRequest, 'signal'>) => { entered: PoolJob; result: Promise<InferenceResult> }
  /** An engine's answer; `variant` is the graph that it runs. */
  answer: (job: PoolJob, answer: EngineAnswer, variant: string) => void
  fail: (job: PoolJob, error: VisionQueueError) => void
  /** Its caller wants it no more; false where it was settled before. */
  cancel: (job: PoolJob, reason: unknown) => boolean
  handBack: (jobs: Iterable<PoolJob>, reason?: Error) => void
}

export function createPoolJobs(stats: PoolStats): PoolJobs {
  const unanswered = new Set<PoolJob>()
  let entries = 0

  function settle(job: PoolJob): boolean {
    if (job.settled) return false
    job.settled = true
    unanswered.delete(job)
    return true
  }

  function fail(job: PoolJob, error: VisionQueueError): void {
    if (!settle(job)) return
    stats.countJob(error.code === 'deadline_exceeded' ? 'expired' : 'failed')
    job.reject(error)
  }

  return {
    unanswered,
    enter({ alone = false, onTokens, id: callerId, context, ...request }) {
      const { promise: result, resolve, reject } = createDeferred<InferenceResult>()
      entries += 1
      const job = { id: String(entries), ...request, stream: onTokens !== undefined }
      const entered: PoolJob = {
        job,
        callerId,
        context,
        onTokens,
        resolve,
        reject,
        settled: false,
        suspect: alone,
        deaths: 0,
      }
      unanswered.add(entered)
      return { entered, result }
    },
    answer(job, answer, variant) {
      if (job.settled) return
      switch (answer.kind) {
        case 'value': {
          const { output, preprocessMs, inferenceMs, batchSize } = answer
          settle(job)
          stats.countJob('succeeded', preprocessMs)
          job.resolve({ output, variant, preprocessMs, inferenceMs, batchSize })
          break
        }
        case 'error':
          fail(job, new VisionQueueError(answer.error.code, answer.error.detail, { cause: answer.cause ?? undefined }))
          break
        case 'canceled':
          break
        default:
          answer satisfies never
      }
    },
    fail,
    cancel(job, reason) {
      if (!settle(job)) return false
      stats.countJob('canceled')
      job.reject(reason)
      return true
    },
    handBack(jobs, reason = new HandedBackError()) {
      for (const job of jobs) if (settle(job)) job.reject(reason)
    },
  }
}
