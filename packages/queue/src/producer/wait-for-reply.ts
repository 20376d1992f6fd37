import { isFinal, type Job } from '@vision-queue/protocol'

import { createInbox } from './inbox.ts'
import type { Heard, JobChannels } from './job-channels.ts'
import { openWaitEnd } from './until-final.ts'

interface Options {
  id: string
  /** Queues the job once replies can be heard; resolves to what it is then. */
  submit: () => Promise<Job>
  /** The job as it is, after a reconnect. */
  read: () => Promise<Job | null>
  timeoutMs: number
  signal: AbortSignal | undefined
}

/**
 * A job that replies to this process, once it is final or as it was last seen after `timeoutMs`, when `signal` fires or
 * the channels close. Rejects with what `submit` rejects with.
 */
export async function waitForReply(
  channels: JobChannels,
  { id, submit, read, timeoutMs, signal }: Options,
): Promise<Job> {
  const inbox = createInbox<Heard>()
  const end = openWaitEnd(timeoutMs, signal)
  const leave = await channels.listen(id, 'replies', inbox.push).catch((error: unknown) => {
    end.release()
    throw error
  })
  try {
    let last = await submit()
    end.signal.addEventListener('abort', inbox.end, { once: true })
    if (end.signal.aborted) return last
    while (!isFinal(last.status)) {
      const heard = await inbox.next()
      if (heard === null || heard.kind === 'closed') break
      if (heard.kind === 'final') last = heard.job
      // What cannot be read now is read after the next reconnect, or when the wait is over.
      if (heard.kind === 'reconnected') last = (await read().catch(() => null)) ?? last
    }
    return last
  } finally {
    end.release()
    leave()
  }
}
