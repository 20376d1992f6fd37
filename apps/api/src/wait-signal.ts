/** A signal for one wait; `release` lets go of the signals it follows. */
export interface WaitSignal {
  signal: AbortSignal
  release(): void
}

/**
 * Fires when the client goes away or the server closes, whichever is first. Not AbortSignal.any: on
 * Node 20 that keeps every combined signal alive as long as the longest of its sources, here the process.
 */
export function openWaitSignal(client: AbortSignal, closing: AbortSignal): WaitSignal {
  const controller = new AbortController()
  const end = (): void => controller.abort()
  if (client.aborted || closing.aborted) end()
  client.addEventListener('abort', end)
  closing.addEventListener('abort', end)
  return {
    signal: controller.signal,
    release() {
      client.removeEventListener('abort', end)
      closing.removeEventListener('abort', end)
    },
  }
}
