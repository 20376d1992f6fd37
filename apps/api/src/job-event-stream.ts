import { isFinal, type Job, type JobStatus } from '@vision-queue/jobs'
import type { JobClient } from '@vision-queue/transport'

import { jobResponse } from './job-response.ts'

/** The ids of the events: a state's place in a job's life, so that one id says all that a client has seen. */
export const eventIds = {
  queued: '1',
  running: '2',
  succeeded: '3',
  failed: '3',
  canceled: '3',
  expired: '3',
} as const satisfies Record<JobStatus, string>

/** How long a client should wait before it reconnects. */
const retryMs = 2000

interface Options {
  jobs: JobClient
  id: string
  /** The id of the last event that the client has seen, which isn't sent again. */
  lastEventId: string | null
  heartbeatMs: number
  /** Ends the stream early; the client then reconnects, to another process. */
  closing: AbortSignal
}

/**
 * A job's events in the `text/event-stream` format: what it is now, then each change, and a comment
 * every `heartbeatMs`. Ends after the final state; cancel the stream to end the watch behind it
 * earlier. Null when no such job is known.
 */
export async function openJobEventStream(options: Options): Promise<ReadableStream<Uint8Array> | null> {
  const { jobs, id, heartbeatMs, closing } = options
  let last = options.lastEventId
  // What the watch tells before there is a stream to tell it to.
  const early: Job[] = []
  let deliver = (job: Job): void => {
    early.push(job)
  }
  const watch = await jobs.watch(id, (job) => deliver(job))
  if (watch === null) return null

  const encoder = new TextEncoder()
  let stop = (): void => {}
  return new ReadableStream({
    start(controller) {
      const send = (text: string): void => controller.enqueue(encoder.encode(text))
      const finish = (): void => {
        stop()
        controller.close()
      }
      const heartbeat = setInterval(() => send(': heartbeat\n\n'), heartbeatMs)
      closing.addEventListener('abort', finish, { once: true })
      stop = () => {
        clearInterval(heartbeat)
        closing.removeEventListener('abort', finish)
        deliver = () => {}
        watch.close()
      }
      deliver = (job) => {
        const eventId = eventIds[job.status]
        if (eventId !== last) send(`event: job\nid: ${eventId}\ndata: ${JSON.stringify(jobResponse(job))}\n\n`)
        last = eventId
        if (isFinal(job.status)) finish()
        else if (closing.aborted) finish()
      }
      send(`retry: ${retryMs}\n\n`)
      for (const job of early) deliver(job)
    },
    cancel: () => stop(),
  })
}
