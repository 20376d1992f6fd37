interface Options {
  stop: () => void
  kill: () => void
  /** Whether we are to end with the program that started us. */
  followParent: boolean
}

const againAfterMs = 500
const parentPollMs = 1000

/**
 * Turns SIGINT, SIGTERM and SIGHUP into a stop, and a second one into a kill. npm passes on the SIGINT
 * that the terminal has sent us already, so one that follows at once is the same one. An npm that is killed
 * passes nothing on: then we notice that our parent is another. Returns how to stop listening.
 */
export function onStopRequest({ stop, kill, followParent }: Options): () => void {
  let requestedAt: number | null = null

  const request = (): void => {
    if (requestedAt === null) {
      requestedAt = performance.now()
      stop()
    } else if (performance.now() - requestedAt > againAfterMs) {
      kill()
    }
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, request)

  const parent = process.ppid
  const poll = setInterval(() => {
    if (!followParent || process.ppid === parent) return
    clearInterval(poll)
    request()
  }, parentPollMs)
  poll.unref()

  return () => {
    clearInterval(poll)
    for (const signal of signals) process.off(signal, request)
  }
}
