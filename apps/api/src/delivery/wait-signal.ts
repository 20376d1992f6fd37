import type { HttpBindings } from '@hono/node-server'
import { createJobController, type JobSignal } from '@vision-queue/process'

/** A signal for one wait; `release` lets go of what it follows. */
export interface WaitSignal {
  signal: JobSignal
  release(): void
}

/**
 * Fires when the client goes away or, where `closing` is given, the server closes, whichever is first. One is made for
 * each request that waits, so it is no AbortSignal, and the request's own signal, whose making costs as much, is not
 * asked for.
 */
export function openWaitSignal({ outgoing }: HttpBindings, closing?: JobSignal): WaitSignal {
  const controller = createJobController()
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
