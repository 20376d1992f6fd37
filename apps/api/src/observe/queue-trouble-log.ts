import { type RequestContext, requestFields } from '@vision-queue/process'
import { VisionQueueError } from '@vision-queue/protocol'
import { createLogLimit } from '@vision-queue/redis'
import type { Logger } from 'pino'

/** Tells the log why the queue takes nothing, in Redis' own words, which no client gets to see. */
export interface QueueTroubleLog {
  /**
   * Logs a `queue_unavailable`, one reason at most once in ten seconds, with the request that met it, if it was
   * one. All else is passed over.
   */
  note(error: unknown, request?: RequestContext): void
  /** Logs that it is over, if there was any. */
  clear(): void
}

export function createQueueTroubleLog(log: Logger): QueueTroubleLog {
  const limit = createLogLimit()
  return {
    note(error, request) {
      if (!(error instanceof VisionQueueError) || error.code !== 'queue_unavailable') return
      const cause = error.cause instanceof Error ? error.cause : error
      if (limit.admits(cause)) log.warn({ ...requestFields(request), redis: cause.message }, 'The queue takes nothing')
    },
    clear() {
      if (limit.clear()) log.info({}, 'The queue takes jobs again')
    },
  }
}
