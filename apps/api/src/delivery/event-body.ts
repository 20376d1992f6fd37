interface Options {
  /** Sent before anything else; '': nothing. */
  opening: string
  /** How often a comment is sent, in milliseconds, so that nobody on the way takes the stream for dead. */
  heartbeatMs: number
  /** Called once: when the events have ended or failed, or the client has gone away. */
  onEnd: () => void
}

/** Pieces of `text/event-stream` as the body of an answer. A client that goes away ends it. */
export function openEventBody(
  pieces: AsyncIterator<string, unknown>,
  { opening, heartbeatMs, onEnd }: Options,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let heartbeat: NodeJS.Timeout | undefined
  let isOpen = true
  const stop = (): void => {
    if (!isOpen) return
    isOpen = false
    clearInterval(heartbeat)
    onEnd()
  }
  return new ReadableStream({
    start(controller) {
      if (opening !== '') controller.enqueue(encoder.encode(opening))
      heartbeat = setInterval(() => {
        // A client that has not read what was sent before needs none.
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(': heartbeat\n\n'))
      }, heartbeatMs)
    },
    async pull(controller) {
      const next = await pieces.next().catch((error: unknown) => {
        stop()
        throw error
      })
      if (next.done !== true) controller.enqueue(encoder.encode(next.value))
      else if (isOpen) {
        stop()
        controller.close()
      }
    },
    cancel: stop,
  })
}
