import { jobFields, type JobSignal } from '@vision-queue/process'
import { isFinal, type Job, type JobEvent, VisionQueueError } from '@vision-queue/protocol'
import type { TransportLog } from '@vision-queue/redis'

import type { LoggedText } from '../text-log.ts'
import { createEventReader, type EventReader } from './event-reader.ts'
import { createInbox, type Inbox } from './inbox.ts'
import type { Heard, JobChannels } from './job-channels.ts'

export interface JobEventsOptions {
  /** The position of the last event that the reader has seen: what came after it is told. Default: everything is. */
  after?: string | null
  /** Ends the events when it fires, without an error. */
  signal?: JobSignal
  /** Whether the text of an answer on its way is told, too. Default: true. */
  deltas?: boolean
}

/**
 * The events of one job, to be iterated once: what the job is now, unless the reader has seen that, then every change.
 * They end after the final state, when the signal fires, or when the client closes.
 */
export interface JobEvents extends AsyncIterable<JobEvent> {
  /**
   * Resolves once the job is found and listened to. Rejects with `job_not_found` if the owner has no such job.
   * Iterating does it by itself; who calls it and doesn't iterate lets the signal fire.
   */
  open(): Promise<void>
}

/** Where the events come from. */
export interface JobEventSources {
  listen: JobChannels['listen']
  /** Null if the owner has no such job. */
  read: (id: string, owner: string | null) => Promise<Job | null>
  readText: (id: string) => Promise<LoggedText | null>
  log: TransportLog
}

interface Opened {
  reader: EventReader
  inbox: Inbox<Heard>
  first: JobEvent[]
  stop: () => void
}

/** Listens first and reads then, so that no change falls between; reads again after every reconnect. */
export function openJobEvents(
  sources: JobEventSources,
  of: { id: string; owner: string | null },
  options: JobEventsOptions = {},
): JobEvents {
  let opening: Promise<Opened> | null = null
  const open = async (): Promise<Opened> => {
    opening ??= listenAndRead(sources, of, options)
    return opening
  }
  async function* iterate(): AsyncGenerator<JobEvent, void, undefined> {
    const { reader, inbox, first, stop } = await open()
    try {
      yield* first
      while (!reader.isOver) {
        const heard = await inbox.next()
        if (heard === null || heard.kind === 'closed') return
        const events = await react(heard, reader, sources, of)
        if (events === null) return
        yield* events
      }
    } finally {
      stop()
    }
  }
  return {
    async open() {
      await open()
    },
    [Symbol.asyncIterator]: iterate,
  }
}

async function listenAndRead(
  { listen, read, readText }: JobEventSources,
  { id, owner }: { id: string; owner: string | null },
  { after = null, signal, deltas = true }: JobEventsOptions,
): Promise<Opened> {
  const inbox = createInbox<Heard>()
  const reader = createEventReader({ after, deltas })
  const leave = await listen(id, 'job', inbox.push)
  const stop = (): void => {
    signal?.removeEventListener('abort', stop)
    inbox.end()
    leave()
  }
  try {
    const job = await read(id, owner)
    if (job === null)
      throw new VisionQueueError(
        'job_not_found',
        'No job with this id is known; results are forgotten when they expire.',
      )
    const log = reader.wantsLog(job) ? await readText(id) : null
    const first = inOrder(job, reader, log)
    signal?.addEventListener('abort', stop)
    if (signal?.aborted === true) inbox.end()
    return { reader, inbox, first, stop }
  } catch (error) {
    stop()
    throw error
  }
}

/** The text comes after the state that the job is in, but before its final one, which tells the rest of the text. */
function inOrder(job: Job, reader: EventReader, text: LoggedText | null): JobEvent[] {
  if (isFinal(job.status)) return [...reader.catchUp(text), ...reader.see(job)]
  return [...reader.see(job), ...reader.catchUp(text)]
}

/** Null: the job is forgotten. */
async function react(
  heard: Exclude<Heard, { kind: 'closed' }>,
  reader: EventReader,
  { read, readText, log }: JobEventSources,
  { id, owner }: { id: string; owner: string | null },
): Promise<JobEvent[] | null> {
  const catchUp = async (): Promise<JobEvent[]> => {
    try {
      return reader.catchUp(await readText(id))
    } catch (error) {
      log.warn({ ...jobFields({ id }), error: String(error) }, 'What was told of a text could not be read')
      return []
    }
  }
  switch (heard.kind) {
    case 'running':
      return reader.run(heard)
    case 'final':
      return reader.see(heard.job)
    case 'piece': {
      const events = reader.hear(heard)
      return events === 'gap' ? catchUp() : events
    }
    case 'tokens':
      return []
    case 'reconnected': {
      const job = await read(id, owner).catch(() => {
        log.warn(jobFields({ id }), 'A watched job could not be read again after a reconnect')
        return undefined
      })
      if (job === undefined || job === null) return job === null ? null : []
      const text = reader.wantsLog(job) ? await readText(id).catch(() => null) : null
      return inOrder(job, reader, text)
    }
    default:
      return heard satisfies never
  }
}
