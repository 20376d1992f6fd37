import { createJobController, type JobSignal } from '@vision-queue/process'
import type { JobEvent } from '@vision-queue/protocol'
import type { OwnedJobs } from '@vision-queue/queue/producer'

import type { AddressOf } from '../addresses.ts'
import { jobResponse } from '../doors/native/job-response.ts'
import { openEventBody } from './event-body.ts'

/** How long a client should wait before it reconnects. */
const retryMs = 2000

/**
 * An event in the `text/event-stream` format: `job` with the job as `GET /jobs/{id}` answers it, or `token` with a piece
 * of an answer's text and the `index` in the whole where it begins. The id of either is the position after it.
 */
export function encodeEvent(event: JobEvent, addressOf: AddressOf): string {
  switch (event.kind) {
    case 'state':
    case 'final':
      return `event: job\nid: ${event.position}\ndata: ${JSON.stringify(jobResponse(event.job, addressOf))}\n\n`
    case 'delta': {
      const { position, text, index } = event
      return `event: token\nid: ${position}\ndata: ${JSON.stringify({ text, index })}\n\n`
    }
    default:
      return event satisfies never
  }
}

interface Options {
  jobs: OwnedJobs
  id: string
  /** The id of the last event that the client has seen. */
  lastEventId: string | null
  heartbeatMs: number
  addressOf: AddressOf
  /** Ends the stream early; the client then reconnects, to another process. */
  closing: JobSignal
}

/**
 * A job's events, and a comment every `heartbeatMs`. Ends after the final state; a client that goes away cancels the
 * stream. Rejects with `job_not_found`.
 */
export async function openEventStream(options: Options): Promise<ReadableStream<Uint8Array>> {
  const { jobs, id, lastEventId, heartbeatMs, addressOf, closing } = options
  const ending = createJobController()
  const end = (): void => {
    closing.removeEventListener('abort', end)
    ending.abort()
  }
  closing.addEventListener('abort', end)
  if (closing.aborted) end()
  const events = jobs.events(id, { after: lastEventId, signal: ending.signal })
  try {
    await events.open()
  } catch (error) {
    end()
    throw error
  }

  return openEventBody(encoded(events, addressOf), { opening: `retry: ${retryMs}\n\n`, heartbeatMs, onEnd: end })
}

async function* encoded(
  events: AsyncIterable<JobEvent>,
  addressOf: AddressOf,
): AsyncGenerator<string, void, undefined> {
  for await (const event of events) yield encodeEvent(event, addressOf)
}
