import type { JobSignal } from '@vision-queue/process'
import { isFinal, type Job } from '@vision-queue/protocol'

import { createInbox } from './inbox.ts'
import type { Accepted } from './job-client.ts'
import type { Heard, JobChannels } from './job-channels.ts'

interface SubmitOptions extends Omit<Options, 'submit'> {
  submit: () => Promise<Accepted>
  /** Turns what Redis rejects with into `queue_unavailable`. */
  guard: (work: Promise<Job>) => Promise<Job>
}

/**
 * Submits a job that replies to this process, and waits. Rejects only if `submit` does: once the job is accepted, it is
 * given as it was last known.
 */
export async function submitForReply(
  channels: JobChannels,
  { submit, guard, ...options }: SubmitOptions,
): Promise<Accepted> {
  const held: Accepted[] = []
  const submitted = async (): Promise<Job> => {
    const one = await submit()
    held.push(one)
    return one.job
  }
  const waited = await guard(waitForReply(channels, { ...options, submit: submitted })).catch((error: unknown) => {
    if (held.length === 0) throw error
    return null
  })
  const [accepted] = held
  if (accepted === undefined) throw new Error('waited for a job that was not submitted')
  // A reply tells of the end only; if the time is up before it, the job is read once more to tell whether it runs.
  const last = waited !== null && isFinal(waited.status) ? waited : await options.read().catch(() => null)
  return { ...accepted, job: last ?? accepted.job }
}

interface Options {
  id: string
  /** Queues the job once replies can be heard; resolves to what it is then. */
  submit: () => Promise<Job>
  /** The job as it is, after a reconnect. */
  read: () => Promise<Job | null>
  timeoutMs: number
  signal: JobSignal | undefined
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
  const leave = await channels.listen(id, 'replies', inbox.push)
  const timer = setTimeout(inbox.end, timeoutMs)
  signal?.addEventListener('abort', inbox.end)
  if (signal?.aborted === true) inbox.end()
  try {
    let last = await submit()
    while (!isFinal(last.status)) {
      const heard = await inbox.next()
      if (heard === null || heard.kind === 'closed') break
      if (heard.kind === 'final') last = heard.job
      // What cannot be read now is read after the next reconnect, or when the wait is over.
      if (heard.kind === 'reconnected') last = (await read().catch(() => null)) ?? last
    }
    return last
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', inbox.end)
    leave()
  }
}
