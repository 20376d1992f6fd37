import { HandedBackError, type InferenceRequest, type InferenceResult } from '@vision-queue/engine-pool'
import { createDeferred, type Deferred } from '@vision-queue/process'
import type { Priority } from '@vision-queue/protocol'

import { bands } from './send-window.ts'

/** A job that waits for the server, or is there. */
export interface RemoteJob {
  readonly request: InferenceRequest
  readonly priority: Priority
  readonly answer: Deferred<InferenceResult>
  /** Ends the call to the server. */
  readonly unwanted: AbortController
  /** Whether its caller has been told how it ended. */
  settled: boolean
}

/** The jobs of a pool: each is in `waiting` or in `there` until it is settled. Plain data. */
export interface RemoteJobs {
  readonly waiting: Readonly<Record<Priority, RemoteJob[]>>
  readonly there: Set<RemoteJob>
}

export function newRemoteJobs(): RemoteJobs {
  return { waiting: { high: [], normal: [], low: [] }, there: new Set() }
}

/** Takes a job in, behind those of its priority. */
export function enterJob({ waiting }: RemoteJobs, request: InferenceRequest): RemoteJob {
  const priority = request.priority ?? 'normal'
  const job: RemoteJob = {
    request,
    priority,
    answer: createDeferred<InferenceResult>(),
    unwanted: new AbortController(),
    settled: false,
  }
  waiting[priority].push(job)
  return job
}

/** Puts a job that the server did not take back in front of those of its priority. */
export function waitAgain({ waiting, there }: RemoteJobs, job: RemoteJob): void {
  there.delete(job)
  if (!job.settled) waiting[job.priority].unshift(job)
}

/** Lets go of a job: it is nowhere any more, and its caller is told by whoever calls this. False where that was done before. */
export function settle({ waiting, there }: RemoteJobs, job: RemoteJob): boolean {
  if (job.settled) return false
  job.settled = true
  there.delete(job)
  const queue = waiting[job.priority]
  const place = queue.indexOf(job)
  if (place >= 0) queue.splice(place, 1)
  return true
}

/** All jobs that wait. */
export function waitingJobs({ waiting }: RemoteJobs): RemoteJob[] {
  return bands.flatMap((priority) => waiting[priority])
}

/** Jobs without an answer. */
export function countJobs(jobs: RemoteJobs): number {
  return waitingJobs(jobs).length + jobs.there.size
}

/** Rejects jobs of which nothing is known, and ends what the server does for them: they may be run elsewhere. */
export function handBack(jobs: RemoteJobs, which: readonly RemoteJob[]): void {
  for (const job of which) {
    if (!settle(jobs, job)) continue
    job.answer.reject(new HandedBackError())
    job.unwanted.abort()
  }
}
