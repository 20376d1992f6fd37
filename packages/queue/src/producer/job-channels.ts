import { jobFields } from '@vision-queue/process'
import type { RedisSubscriber, TransportLog } from '@vision-queue/redis'

import { type JobChange, readChanges } from '../job-change.ts'
import { jobChannel } from '../keys.ts'

/** What a listener is told: a change, that changes may have been missed, or that nothing more will come. */
export type Heard = JobChange | { kind: 'reconnected' } | { kind: 'closed' }

/**
 * Changes of jobs by pub/sub: one channel for each job, subscribed to while somebody listens, so that any API process
 * can serve any job; and one for each process, on which the jobs that name it in `replyTo` tell their final states.
 */
export interface JobChannels {
  /**
   * Calls `listener` with every change of the job from now on, or with its reply to this process; resolves once nothing
   * can be missed, to what ends it.
   */
  listen(id: string, via: 'job' | 'replies', listener: (heard: Heard) => void): Promise<() => void>
  /** Tells every listener that nothing more will come. */
  close(): void
}

interface Options {
  subscriber: RedisSubscriber
  /** The channel of this process. */
  replies: string
  log: TransportLog
}

/** The listeners of one job. */
interface Listened {
  listeners: Set<(heard: Heard) => void>
  /** To the job's own channel; null while only its reply is waited for. */
  subscribed: Promise<void> | null
}

export function openJobChannels({ subscriber, replies, log }: Options): JobChannels {
  const jobs = new Map<string, Listened>()
  const idByChannel = new Map<string, string>()
  let repliesSubscribed: Promise<void> | null = null

  subscriber.on('message', (channel: string, message: string) => {
    const ownId = idByChannel.get(channel)
    if (ownId === undefined && channel !== replies) return
    const changes = readChanges(message)
    if (changes === null) {
      log.warn({ ...jobFields({ id: ownId }), channel }, 'Unreadable change of a job ignored')
      return
    }
    for (const change of changes) {
      const id = ownId ?? (change.kind === 'final' ? change.job.id : undefined)
      if (id !== undefined) for (const listener of jobs.get(id)?.listeners ?? []) listener(change)
    }
  })
  const tellAll = (heard: Heard): void => {
    for (const { listeners } of jobs.values()) for (const listener of listeners) listener(heard)
  }
  // The first 'ready' comes before anybody listens; every later one follows a lost connection.
  subscriber.on('ready', () => tellAll({ kind: 'reconnected' }))

  const subscribe = async (channel: string): Promise<void> => {
    if (subscriber.status !== 'ready') throw new Error(`Redis subscriber is ${subscriber.status}`)
    await subscriber.subscribe(channel)
  }
  const subscribeToJob = async (id: string, job: Listened): Promise<void> => {
    const channel = jobChannel(id)
    idByChannel.set(channel, id)
    job.subscribed ??= subscribe(channel)
    await job.subscribed
  }
  /** Once; ioredis subscribes again by itself after each reconnect. */
  const subscribeToReplies = async (): Promise<void> => {
    if (subscriber.status !== 'ready') throw new Error(`Redis subscriber is ${subscriber.status}`)
    repliesSubscribed ??= subscribe(replies).catch((error: unknown) => {
      repliesSubscribed = null
      throw error
    })
    await repliesSubscribed
  }

  const enter = (id: string): Listened => {
    const job = jobs.get(id) ?? { listeners: new Set(), subscribed: null }
    jobs.set(id, job)
    return job
  }
  const leave = (id: string, job: Listened, listener: (heard: Heard) => void): void => {
    job.listeners.delete(listener)
    if (job.listeners.size > 0 || jobs.get(id) !== job) return
    jobs.delete(id)
    idByChannel.delete(jobChannel(id))
    if (job.subscribed === null) return
    // Without a connection there is no subscription to end.
    subscriber.unsubscribe(jobChannel(id)).catch(() => {})
  }

  return {
    async listen(id, via, listener) {
      const job = enter(id)
      job.listeners.add(listener)
      try {
        await (via === 'job' ? subscribeToJob(id, job) : subscribeToReplies())
      } catch (error) {
        leave(id, job, listener)
        throw error
      }
      return () => leave(id, job, listener)
    },
    close() {
      tellAll({ kind: 'closed' })
      jobs.clear()
      idByChannel.clear()
    },
  }
}
