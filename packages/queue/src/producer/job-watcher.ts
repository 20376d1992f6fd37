import { jobFields } from '@vision-queue/process'
import { isFinal, type Job } from '@vision-queue/protocol'
import { type JobChange, jobChangeSchema } from '../job-change.ts'
import { jobChannel } from '../keys.ts'
import type { RedisSubscriber } from '@vision-queue/redis'

import type { MayRead } from './job-control.ts'
import { parseJson } from '@vision-queue/redis'
import type { TransportLog } from '@vision-queue/redis'
import { createWaits } from './until-final.ts'

export interface JobWatch {
  close(): void
}

/**
 * Delivery by pub/sub: one channel per job, subscribed while somebody watches it, so any API
 * process can serve any job, and one per process, for the jobs that name it as the one that waits: most
 * jobs end there, without a subscription of their own. Subscribes first and reads then, so that no change falls between;
 * after a reconnect every watched job is read again, for what was published meanwhile is gone.
 */
export interface JobWatcher {
  /**
   * Calls `listener` with the job as it is, then after each change; null when no such job is known.
   * `onText` gets the answer's text so far, each time it has grown; texts may be left out. A job that `mayRead`
   * denies is as one that isn't known: at once, and before anything of it is told.
   */
  watch(
    id: string,
    listener: (job: Job) => void,
    onText?: (text: string) => void,
    mayRead?: MayRead,
  ): Promise<JobWatch | null>
  /**
   * The job once it is final, or as it is after `timeoutMs` or when `signal` fires; null when no such job is
   * known or `mayRead` denies it.
   */
  waitFor(id: string, timeoutMs: number, signal?: AbortSignal, mayRead?: MayRead): Promise<Job | null>
  /**
   * The same for a job that replies to this process: `submit` queues it once replies can be heard, and tells
   * what it is then. Rejects with what `submit` rejects with.
   */
  waitForReply(id: string, submit: () => Promise<Job>, timeoutMs: number, signal?: AbortSignal): Promise<Job | null>
  /** Ends every watch and every wait; a wait resolves with the job as it was last seen. */
  close(): void
}

interface Watched {
  listeners: Set<(job: Job) => void>
  textListeners: Set<(text: string) => void>
  /** The answer so far, of a job that generates one. */
  text: string
  /** To the job's own channel; null while only its reply is waited for. */
  subscribed: Promise<void> | null
  last: Job | null
  /** A `running` that overtook the first read of the job. */
  early: { startedAt: number; attempts: number } | null
}

interface Options {
  subscriber: RedisSubscriber
  /** The channel of this process. */
  replies: string
  read: (id: string, mayRead?: MayRead) => Promise<Job | null>
  log: TransportLog
}

// oxlint-disable-next-line max-lines-per-function -- until the redesign of this room lands
export function createJobWatcher({ subscriber, replies, read, log }: Options): JobWatcher {
  const watched = new Map<string, Watched>()
  const idByChannel = new Map<string, string>()
  const waits = createWaits()
  let repliesSubscribed: Promise<void> | null = null

  const update = (entry: Watched, job: Job): void => {
    const { last } = entry
    // Reads and messages travel on two connections: an older state may arrive after a newer one.
    if (last !== null && (isFinal(last.status) || (last.status === 'running' && job.status === 'queued'))) return
    const changed = last === null || last.status !== job.status
    entry.last = job
    if (changed) for (const listener of entry.listeners) listener(job)
  }

  const running = (job: Job, { startedAt, attempts }: { startedAt: number; attempts: number }): Job => ({
    ...job,
    status: 'running',
    attempts,
    started_at: new Date(startedAt).toISOString(),
  })

  subscriber.on('message', (channel: string, message: string) => {
    const watchedId = idByChannel.get(channel)
    if (watchedId === undefined && channel !== replies) return
    const change = jobChangeSchema.safeParse(parseJson(message))
    if (!change.success) {
      log.warn({ ...jobFields({ id: watchedId }), channel }, 'Unreadable change of a job ignored')
      return
    }
    const id = watchedId ?? (change.data.kind === 'final' ? change.data.job.id : undefined)
    const entry = id === undefined ? undefined : watched.get(id)
    if (entry !== undefined) hear(entry, change.data)
  })

  const hear = (entry: Watched, change: JobChange): void => {
    switch (change.kind) {
      case 'final':
        update(entry, change.job)
        break
      case 'running':
        if (entry.last === null) entry.early = change
        else update(entry, running(entry.last, change))
        break
      case 'tokens':
        if (entry.last !== null && isFinal(entry.last.status)) break
        entry.text = change.text
        for (const listener of entry.textListeners) listener(change.text)
        break
      default:
        change satisfies never
    }
  }

  // The first 'ready' comes before any watch; every later one follows a lost connection.
  subscriber.on('ready', () => {
    for (const [id, entry] of watched) {
      read(id).then(
        (job) => job !== null && update(entry, job),
        () => log.warn(jobFields({ id }), 'A watched job could not be read again after a reconnect'),
      )
    }
  })

  const enter = (id: string): Watched => {
    const known = watched.get(id)
    if (known !== undefined) return known
    const entry: Watched = {
      listeners: new Set(),
      textListeners: new Set(),
      text: '',
      subscribed: null,
      last: null,
      early: null,
    }
    watched.set(id, entry)
    return entry
  }

  const subscribe = async (channel: string): Promise<void> => {
    if (subscriber.status !== 'ready') throw new Error(`Redis subscriber is ${subscriber.status}`)
    await subscriber.subscribe(channel)
  }

  const subscribeToJob = async (id: string, entry: Watched): Promise<void> => {
    const channel = jobChannel(id)
    idByChannel.set(channel, id)
    entry.subscribed ??= subscribe(channel)
    await entry.subscribed
  }

  /** Once; ioredis subscribes again by itself after each reconnect, and the jobs are read again then. */
  const subscribeToReplies = async (): Promise<void> => {
    if (subscriber.status !== 'ready') throw new Error(`Redis subscriber is ${subscriber.status}`)
    repliesSubscribed ??= subscribe(replies).catch((error: unknown) => {
      repliesSubscribed = null
      throw error
    })
    await repliesSubscribed
  }

  const leave = (id: string, entry: Watched, listener: (job: Job) => void): void => {
    entry.listeners.delete(listener)
    if (entry.listeners.size > 0 || watched.get(id) !== entry) return
    const channel = jobChannel(id)
    watched.delete(id)
    idByChannel.delete(channel)
    if (entry.subscribed === null) return
    // Without a connection there is no subscription to end.
    subscriber.unsubscribe(channel).catch(() => {})
  }

  const watch = async (
    id: string,
    listener: (job: Job) => void,
    onText?: (text: string) => void,
    { submit, mayRead }: { submit?: () => Promise<Job>; mayRead?: MayRead } = {},
  ): Promise<JobWatch | null> => {
    const entry = enter(id)
    // Deaf until the snapshot has been given, so that it comes first.
    let ready = false
    const hearJob = (job: Job): void => {
      if (ready) listener(job)
    }
    const end = (): void => {
      if (onText !== undefined) entry.textListeners.delete(onText)
      leave(id, entry, hearJob)
    }
    entry.listeners.add(hearJob)
    try {
      await (submit === undefined ? subscribeToJob(id, entry) : subscribeToReplies())
      const job = await (submit ?? (async () => read(id, mayRead)))()
      if (job === null) {
        end()
        return null
      }
      update(entry, job)
      if (entry.early !== null) update(entry, running(job, entry.early))
      ready = true
      listener(entry.last ?? job)
      if (onText !== undefined && entry.last !== null && !isFinal(entry.last.status)) {
        if (entry.text !== '') onText(entry.text)
        entry.textListeners.add(onText)
      }
      return { close: end }
    } catch (error) {
      end()
      throw error
    }
  }

  return {
    watch: async (id, listener, onText, mayRead) => watch(id, listener, onText, mayRead && { mayRead }),
    waitFor: async (id, timeoutMs, signal, mayRead) =>
      waits.untilFinal(async (listener) => watch(id, listener, undefined, mayRead && { mayRead }), timeoutMs, signal),
    waitForReply: async (id, submit, timeoutMs, signal) =>
      waits.untilFinal(async (listener) => watch(id, listener, undefined, { submit }), timeoutMs, signal),
    close() {
      waits.close()
      watched.clear()
      idByChannel.clear()
    },
  }
}
