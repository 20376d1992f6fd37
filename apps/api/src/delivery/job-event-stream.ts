import { isFinal, type Job, type JobStatus } from '@vision-queue/protocol'

import type { AddressOf } from '../addresses.ts'
import { jobResponse } from '../doors/native/job-response.ts'
import type { OwnedJobs } from './owned-jobs.ts'

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
  jobs: OwnedJobs
  id: string
  /** The id of the last event that the client has seen, which isn't sent again. */
  lastEventId: string | null
  heartbeatMs: number
  addressOf: AddressOf
  /** Ends the stream early; the client then reconnects, to another process. */
  closing: AbortSignal
}

/**
 * A job's events in the `text/event-stream` format: what it is now, then each change, and a comment
 * every `heartbeatMs`. Ends after the final state; cancel the stream to end the watch behind it
 * earlier. Null when no such job is known.
 *
 * Between `running` and the final state an answer that is being generated comes as `token` events:
 * a piece of its text and the `index` in the whole where it begins, in UTF-16 units. Who comes late
 * gets all of the text so far as the first piece; should a job begin anew, so does the index. They
 * have no id: after a reconnect the text so far comes again. What of the text was not sent when a job succeeds is
 * sent before the final event, so that on every connection the pieces are the whole text.
 */
export async function openJobEventStream(options: Options): Promise<ReadableStream<Uint8Array> | null> {
  const { jobs, id, heartbeatMs, addressOf, closing } = options
  let last = options.lastEventId
  // What the watch tells before there is a stream to tell it to.
  const early: Job[] = []
  let deliver = (job: Job): void => {
    early.push(job)
  }
  let earlyText = ''
  let deliverText = (text: string): void => {
    earlyText = text
  }
  const watch = await jobs.watch(
    id,
    (job) => deliver(job),
    (text) => deliverText(text),
  )
  if (watch === null) return null

  const encoder = new TextEncoder()
  let said = ''
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
        deliverText = () => {}
        watch.close()
      }
      deliver = (job) => {
        const eventId = eventIds[job.status]
        if (eventId !== last) sendRest(job)
        if (eventId !== last)
          send(`event: job\nid: ${eventId}\ndata: ${JSON.stringify(jobResponse(job, addressOf))}\n\n`)
        last = eventId
        if (isFinal(job.status)) finish()
        else if (closing.aborted) finish()
      }
      const sendText = (text: string): void => {
        const index = commonLength(said, text)
        said = text
        send(`event: token\ndata: ${JSON.stringify({ text: text.slice(index), index })}\n\n`)
      }
      // The last pieces travel beside the result, and may be late or never come: the result has them all.
      const sendRest = ({ output }: Job): void => {
        const text = output?.['text']
        if (typeof text === 'string' && text !== said) sendText(text)
      }
      deliverText = (text) => {
        if (!said.startsWith(text)) sendText(text)
      }
      send(`retry: ${retryMs}\n\n`)
      for (const job of early) deliver(job)
      if (earlyText !== '') deliverText(earlyText)
    },
    cancel: () => stop(),
  })
}

/** How far two texts are the same. */
function commonLength(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length += 1
  return length
}
