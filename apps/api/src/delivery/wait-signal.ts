import type { HttpBindings } from '@hono/node-server'

/** A signal for one wait; `release` lets go of what it follows. */
export interface WaitSignal {
  signal: AbortSignal
  release(): void
}

/**
 * Fires when the client goes away or, where `closing` is given, the server closes, whichever is first. Not by the request's own signal,
 * whose making costs each request, nor by AbortSignal.any: on Node 20 that keeps every combined signal alive
 * as long as the longest of its sources, here the process.
 */
export function openWaitSignal({ outgoing }: HttpBindings, closing?: AbortSignal): WaitSignal {
  const controller = new AbortController()
  const end = (): void => controller.abort()
  if (outgoing.closed || closing?.aborted === true) end()
  outgoing.on('close', end)
  closing?.addEventListener('abort', end)
  return {
    signal: controller.signal,
    release() {
      outgoing.off('close', end)
      closing?.removeEventListener('abort', end)
    },
  }
}
