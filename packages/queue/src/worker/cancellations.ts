import { createJobController, type JobController, type JobSignal } from '@vision-queue/process'

import { cancellationsChannel } from '../keys.ts'

import { type ConnectionOptions, openDurableConnection } from '@vision-queue/redis'

/**
 * The jobs that a consumer holds, each with a signal that fires when it was canceled elsewhere. A message that
 * gets lost costs a run in vain and nothing else: the job has its final state before it is told.
 */
export interface Cancellations {
  /** For the time that a job is held. */
  hold(id: string): HeldJob
  close(): void
}

export interface HeldJob {
  signal: JobSignal
  release(): void
}

/** Hears cancellations on a connection of its own, which a subscription needs. */
export function openCancellations(options: Omit<ConnectionOptions, 'name'>): Cancellations {
  const subscriber = openDurableConnection({ ...options, name: 'consumer-cancellations' })
  const held = new Map<string, JobController>()
  subscriber.on('message', (_channel: string, id: string) => held.get(id)?.abort())
  // Renewed by ioredis after each reconnect; rejected only by the disconnect below.
  subscriber.subscribe(cancellationsChannel).catch(() => {})
  return {
    hold(id) {
      const controller = createJobController()
      held.set(id, controller)
      return {
        signal: controller.signal,
        release() {
          // The same job may have been delivered here again meanwhile.
          if (held.get(id) === controller) held.delete(id)
        },
      }
    },
    close: () => subscriber.disconnect(),
  }
}
