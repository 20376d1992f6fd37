import { isFinal, type Job } from '@vision-queue/protocol'

import type { JobWatch } from './job-watcher.ts'

/** Waits that can all be ended together, as when the process closes. */
export interface Waits {
  /**
   * The job once it is final, or as it was last seen when `timeoutMs` have passed, `signal` fires or `close` is
   * called; null where `watch` finds none. Rejects with what `watch` rejects with.
   */
  untilFinal(
    watch: (listener: (job: Job) => void) => Promise<JobWatch | null>,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Job | null>
  close(): void
}

export function createWaits(): Waits {
  const ends = new Set<() => void>()
  let closed = false
  return {
    async untilFinal(watch, timeoutMs, signal) {
      let latest: Job | null = null
      let end = (): void => {}
      const ended = new Promise<void>((resolve) => {
        end = resolve
      })
      ends.add(end)
      const timer = setTimeout(end, timeoutMs)
      signal?.addEventListener('abort', end, { once: true })
      if (signal?.aborted === true || closed) end()
      try {
        const watching = await watch((seen) => {
          latest = seen
          if (isFinal(seen.status)) end()
        })
        if (watching === null) return null
        await ended
        watching.close()
        return latest
      } finally {
        ends.delete(end)
        clearTimeout(timer)
        signal?.removeEventListener('abort', end)
      }
    },
    close() {
      closed = true
      for (const end of ends) end()
    },
  }
}
