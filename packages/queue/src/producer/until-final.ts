import { createJobController, type JobSignal } from '@vision-queue/process'
import { type Job, VisionQueueError } from '@vision-queue/protocol'

import type { JobEvents } from './job-events.ts'

/** A signal for one wait; `release` lets go of what it follows. */
export interface WaitEnd {
  signal: JobSignal
  release(): void
}

/** Fires after `timeoutMs`, or with `signal`. */
export function openWaitEnd(timeoutMs: number, signal?: JobSignal): WaitEnd {
  const controller = createJobController()
  const end = (): void => controller.abort()
  const timer = setTimeout(end, timeoutMs)
  signal?.addEventListener('abort', end)
  if (signal?.aborted === true) end()
  return {
    signal: controller.signal,
    release() {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
    },
  }
}

/** The job once it is final, or as it was last seen after `timeoutMs` or when `signal` fires; null if it is not known. */
export async function untilFinal(
  eventsUntil: (signal: JobSignal) => JobEvents,
  timeoutMs: number,
  signal?: JobSignal,
): Promise<Job | null> {
  const end = openWaitEnd(timeoutMs, signal)
  let last: Job | null = null
  try {
    for await (const event of eventsUntil(end.signal)) if (event.kind !== 'delta') last = event.job
    return last
  } catch (error) {
    if (error instanceof VisionQueueError && error.code === 'job_not_found') return null
    throw error
  } finally {
    end.release()
  }
}
