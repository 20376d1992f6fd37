import type { InferenceResult } from '@vision-queue/engine-pool'
import {
  type CapacityFigures,
  countJob,
  countRuns,
  newCapacityFigures,
  newPoolFigures,
  observeAnswers,
  type PoolFigures,
} from '@vision-queue/engine-pool/figures'
import { VisionQueueError } from '@vision-queue/protocol'

import { handBack, type RemoteJob, type RemoteJobs, settle, waitAgain, waitingJobs } from './remote-jobs.ts'
import type { RemotePoolOptions } from './remote-pool.ts'
import { NoRoomError, NotReachedError } from './remote-server.ts'
import {
  bands,
  maySend,
  noteAccepted,
  noteEnd,
  noteRefused,
  noteSend,
  opensAt,
  type SendWindow,
} from './send-window.ts'
import type { ServerWatch } from './server-watch.ts'

/** What a pool has done. */
export interface Counted {
  figures: PoolFigures
  capacity: CapacityFigures
  /** Times that the server had no room. */
  refused: number
}

export function newCounted(): Counted {
  return { figures: newPoolFigures(), capacity: newCapacityFigures(), refused: 0 }
}

interface Sending extends Pick<RemotePoolOptions, 'server' | 'name' | 'version' | 'log' | 'onLaunch'> {
  jobs: RemoteJobs
  window: SendWindow
  counted: Counted
  watch: () => ServerWatch
}

/** Sends the jobs of a pool as the window allows, and sees to what comes of it. */
export function createSending({ jobs, window, counted, server, onLaunch, watch, ...options }: Sending): {
  /** Sends what may be sent now, and again when more may be. */
  advance: () => void
  stop: () => void
} {
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  const advance = (): void => {
    if (stopped) return
    expire(jobs, counted)
    if (!watch().state.isUp) return
    const now = performance.now()
    let soonest = Infinity
    for (const priority of bands) {
      const queue = jobs.waiting[priority]
      while (queue.length > 0 && maySend(window, priority, now)) {
        const job = queue.shift()
        if (job !== undefined) void send(job)
      }
      if (queue.length > 0) soonest = Math.min(soonest, opensAt(window, priority, now) ?? Infinity)
    }
    clearTimeout(timer)
    if (soonest < Infinity) timer = setTimeout(advance, Math.max(1, soonest - now))
  }

  const send = async (job: RemoteJob): Promise<void> => {
    jobs.there.add(job)
    const sent = noteSend(window, job.priority)
    const startedAt = performance.now()
    onLaunch?.([job.request.id])
    const onAccepted = (): void => {
      noteAccepted(window, sent)
      advance()
    }
    const heard = hearFirst(job)
    try {
      const output = await server.ask(heard.request, { signal: job.unwanted.signal, onAccepted })
      if (!settle(jobs, job)) return
      const variant = watch().state.manifest?.variant ?? ''
      const result = { output, variant, preprocessMs: 0, batchSize: 1, ...timesOf(startedAt, heard.firstAt()) }
      countAnswer(counted, result, { busy: waitingJobs(jobs).length > 0 })
      job.answer.resolve(result)
    } catch (error) {
      fail(job, error, (retryAfterMs) => noteRefused(window, sent, { now: performance.now(), retryAfterMs }))
    } finally {
      noteEnd(window, sent)
      advance()
    }
  }

  const fail = (job: RemoteJob, error: unknown, onRefused: (retryAfterMs: number | null) => void): void => {
    if (error instanceof NoRoomError) {
      counted.refused += 1
      onRefused(error.retryAfterMs)
      returnJob(job)
    } else if (error instanceof NotReachedError) {
      returnJob(job)
      watch().doubt({ isGone: true })
    } else if (settle(jobs, job)) {
      countJob(counted.figures, 'failed')
      const failure = error instanceof VisionQueueError ? error : brokenOff(error)
      if (failure.code === 'model_unavailable') {
        const { name, version, log } = options
        const why = failure.cause instanceof Error ? failure.cause.message : failure.detail
        log.warn({ model: name, version, job: job.request.id, why }, 'The server of a model has failed')
        watch().doubt({ isGone: false })
      }
      job.answer.reject(failure)
    }
  }

  /** Nothing is known of the job: it waits again or, where nobody sends any more, goes back. */
  const returnJob = (job: RemoteJob): void => {
    if (stopped) handBack(jobs, [job])
    else waitAgain(jobs, job)
  }

  return {
    advance,
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}

/** The request, of which who has gone hears no more; and when the first piece of its answer came, by performance.now(). */
function hearFirst(job: RemoteJob): { request: RemoteJob['request']; firstAt: () => number | null } {
  const { onTokens } = job.request
  let firstAt: number | null = null
  return {
    request: {
      ...job.request,
      onTokens(piece) {
        firstAt ??= performance.now()
        if (!job.settled) onTokens?.(piece)
      },
    },
    firstAt: () => firstAt,
  }
}

/** How long an answer took, and when its tokens came, where it came in pieces. The way there and back counts. */
function timesOf(startedAt: number, firstAt: number | null): Pick<InferenceResult, 'inferenceMs' | 'times'> {
  const endedAt = performance.now()
  const inferenceMs = endedAt - startedAt
  if (firstAt === null) return { inferenceMs }
  return { inferenceMs, times: { prefillMs: firstAt - startedAt, decodeMs: endedAt - firstAt } }
}

function countAnswer(
  { figures, capacity }: Counted,
  { inferenceMs }: Pick<InferenceResult, 'inferenceMs'>,
  { busy }: { busy: boolean },
): void {
  countRuns(figures, [{ size: 1, runMs: inferenceMs }])
  countJob(figures, 'succeeded')
  observeAnswers(capacity, { answered: 1, batches: 1, cpuMs: null, busy }, performance.now())
}

function brokenOff(cause: unknown): VisionQueueError {
  return new VisionQueueError('model_unavailable', 'The server of this model broke the answer off.', { cause })
}

/** Ends the jobs that wait and whose deadline has passed. */
function expire(jobs: RemoteJobs, { figures }: Counted): void {
  const now = Date.now()
  for (const job of waitingJobs(jobs)) {
    const { deadlineAt } = job.request
    if (deadlineAt === null || deadlineAt > now || !settle(jobs, job)) continue
    countJob(figures, 'expired')
    job.answer.reject(new VisionQueueError('deadline_exceeded', 'The deadline passed before the job ran.'))
  }
}
