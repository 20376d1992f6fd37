import { pinnedQueueName, queueName, queuePrefix, type QueuedJob } from '@vision-queue/jobs'
import { Queue } from 'bullmq'

import type { RedisClient } from './redis-connection.ts'

/** The producer's side of BullMQ: one queue per model, and one per version for the jobs pinned to it. */
export interface JobQueues {
  /** Queues the job under its own id; a job of the same id that is there already stays as it is. */
  add(job: QueuedJob): Promise<void>
  /** Where the job is in its queue; null when it isn't there. */
  find(job: QueuedJob): Promise<{ state: 'waiting' | 'active' | 'failed'; startedAt: number; attempts: number } | null>
  /** Jobs pinned to the version that are not finished. */
  countPinned(model: string, version: string): Promise<number>
  close(): Promise<void>
}

/** Where a job waits: pinned ones apart, so that only a consumer that has the version takes them. */
function queueOf({ versionPinned, modelVersion }: QueuedJob): string {
  return versionPinned ? pinnedQueueName(modelVersion) : queueName
}

/** How many entries BullMQ's event stream keeps; nothing here reads it. */
const eventStreamLength = 100

export function createJobQueues(redis: RedisClient): JobQueues {
  const queues = new Map<string, Queue>()

  const queueFor = (model: string, name: string): Queue => {
    // A Queue made while Redis is away never becomes usable, so none is made then.
    if (redis.status !== 'ready') throw new Error(`Redis connection is ${redis.status}`)
    const key = `${queuePrefix(model)}:${name}`
    const known = queues.get(key)
    if (known !== undefined) return known
    const queue = new Queue(name, {
      connection: redis,
      prefix: queuePrefix(model),
      skipWaitingForReady: true,
      streams: { events: { maxLen: eventStreamLength } },
    })
    // Reported by the connection's own listener.
    queue.on('error', () => {})
    queue.waitUntilReady().catch(() => queues.delete(key))
    queues.set(key, queue)
    return queue
  }

  return {
    async add(job) {
      await queueFor(job.model, queueOf(job)).add('infer', job, {
        jobId: job.id,
        // The result is stored apart and expires by itself; BullMQ's copy goes at once.
        removeOnComplete: true,
        // A job's own failure is a result. BullMQ sees one only when its result could not be stored.
        attempts: 10,
        backoff: { type: 'exponential', delay: 500 },
      })
    },
    async find(queued) {
      const queue = queueFor(queued.model, queueOf(queued))
      const [state, job] = await Promise.all([queue.getJobState(queued.id), queue.getJob(queued.id)])
      if (job === undefined || state === 'unknown' || state === 'completed') return null
      return {
        state: state === 'active' || state === 'failed' ? state : 'waiting',
        startedAt: job.processedOn ?? Date.now(),
        attempts: job.attemptsStarted,
      }
    },
    async countPinned(model, version) {
      const queue = queueFor(model, pinnedQueueName(version))
      return queue.getJobCountByTypes('waiting', 'active', 'delayed', 'prioritized')
    },
    async close() {
      await Promise.allSettled([...queues.values()].map(async (queue) => queue.close()))
    },
  }
}
