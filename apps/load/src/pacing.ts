import { setMaxListeners } from 'node:events'

/** When to send, and until when. Times are those of `performance.now()`. */
interface Pacing {
  endMs: number
  /** Sends one request that was due at `scheduledMs`; resolves when it is answered. Never rejects. */
  send: (scheduledMs: number) => Promise<void>
  /** Ends it early. */
  signal: AbortSignal
  /** From 0 up to 1. */
  random?: () => number
}

/**
 * Requests at a rate, each at its own time, whatever became of those before. Where the process was
 * busy, what was due meanwhile is sent at once, under the time at which it was due. Resolves when the last one
 * is sent, not answered.
 */
export async function sendAtRate({
  perSecond,
  arrivals,
  endMs,
  send,
  signal,
  random = Math.random,
}: Pacing & { perSecond: number; arrivals: 'poisson' | 'even' }): Promise<void> {
  const meanMs = 1000 / perSecond
  // Gaps between independent callers are exponential.
  const gapMs = (): number => (arrivals === 'even' ? meanMs : -Math.log(1 - random()) * meanMs)
  let dueMs = performance.now() + gapMs()
  while (dueMs < endMs && !signal.aborted) {
    const waitMs = dueMs - performance.now()
    if (waitMs > 0) {
      // A timer fires up to a millisecond late: that is charged to the service, never the other way round.
      await pause(waitMs, signal)
      continue
    }
    void send(dueMs)
    dueMs += gapMs()
  }
}

/**
 * So many clients, each with one request at a time and, where they think, a pause drawn evenly from
 * `thinkMs` before each. Resolves when all clients have their last answers.
 */
export async function sendByClients({
  clients,
  thinkMs,
  endMs,
  send,
  signal,
  random = Math.random,
}: Pacing & { clients: number; thinkMs: { min: number; max: number } | null }): Promise<void> {
  const client = async (): Promise<void> => {
    while (!signal.aborted) {
      if (thinkMs !== null) {
        const pauseMs = thinkMs.min + random() * (thinkMs.max - thinkMs.min)
        await pause(pauseMs, signal)
      }
      const now = performance.now()
      if (now >= endMs || signal.aborted) return
      await send(now)
    }
  }
  // One listener for each client that thinks, which is no leak.
  setMaxListeners(clients + 10, signal)
  await Promise.all(Array.from({ length: clients }, client))
}

/** Resolves after the time, or when the signal fires. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal.addEventListener('abort', done)
  })
}
