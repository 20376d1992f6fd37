/** A long computation gives way to the rest of its process: `while (...) { if (pauses.isDue()) await pauses.take(); ... }`. */
export interface Pauses {
  /** Whether it has computed for long enough since it began or last gave way. */
  isDue: () => boolean
  /** Lets all that waits in the event loop run first. */
  take: () => Promise<void>
}

/** How long others may wait for it, in milliseconds: less than a step of a model that generates. */
const usualMs = 4

export function createPauses(everyMs = usualMs): Pauses {
  let since = performance.now()
  return {
    isDue: () => performance.now() - since >= everyMs,
    async take() {
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
      since = performance.now()
    },
  }
}
