import { readRefusal } from './redis-refusal.ts'

/** Keeps an error that comes again and again, as from a Redis with a full disk, from filling the log. */
export interface LogLimit {
  /** Whether to log it: one reason is logged at most once in ten seconds. */
  admits(error: Error): boolean
  /** Forgets what was logged; tells whether there was anything. */
  clear(): boolean
}

const pauseMs = 10_000

export function createLogLimit(): LogLimit {
  /** When each reason was last logged. */
  const loggedAt = new Map<string, number>()
  return {
    admits(error) {
      // Redis' message names the script, too, of which there are many.
      const reason = readRefusal(error)?.code ?? error.message
      const before = loggedAt.get(reason)
      if (before !== undefined && performance.now() - before < pauseMs) return false
      // Messages that hold something new each time must not pile up.
      if (loggedAt.size >= 100) loggedAt.clear()
      loggedAt.set(reason, performance.now())
      return true
    },
    clear() {
      const any = loggedAt.size > 0
      loggedAt.clear()
      return any
    },
  }
}
