import { VisionQueueError } from '@vision-queue/jobs'
import { readRefusal } from '@vision-queue/transport'
import type { Logger } from 'pino'

/** Tells the log why the queue takes nothing, in Redis' own words, which no client gets to see. */
export interface QueueTroubleLog {
  /** Logs a `queue_unavailable`, one reason at most once in ten seconds: overload would fill the log. All else is passed over. */
  note(error: unknown): void
  /** Logs that it is over, if there was any. */
  clear(): void
}

const pauseMs = 10_000

export function createQueueTroubleLog(log: Logger): QueueTroubleLog {
  /** When each reason was last logged. */
  const loggedAt = new Map<string, number>()
  return {
    note(error) {
      if (!(error instanceof VisionQueueError) || error.code !== 'queue_unavailable') return
      const words = error.cause instanceof Error ? error.cause.message : error.detail
      const reason = readRefusal(error.cause)?.code ?? words
      const before = loggedAt.get(reason)
      if (before !== undefined && performance.now() - before < pauseMs) return
      loggedAt.set(reason, performance.now())
      log.warn({ redis: words }, 'The queue takes nothing')
    },
    clear() {
      if (loggedAt.size === 0) return
      loggedAt.clear()
      log.info({}, 'The queue takes jobs again')
    },
  }
}
