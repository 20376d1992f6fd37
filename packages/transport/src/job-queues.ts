import { queueName, queuePrefix, type QueuedJob } from '@vision-queue/jobs'
import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'

/** The producer's side of BullMQ: one queue per model. */
export interface JobQueues {
  /** Queues the job under its own id; a job of the same id that is there already stays as it is. */
  add(job: QueuedJob): Promise<void>
  /** Where the job is in its queue; null when it isn't there. */
  find(
    model: string,
    id: string,
  ): Promise<{ state: 'waiting' | 'active' | 'failed'; startedAt: number; attempts: number } | null>
  close(): Promise<void>
}

/** How many entries BullMQ's event stream keeps; nothing here reads it. */
const eventStreamLength = 100

export function createJobQueues(redis: Redis): JobQueues {
  const queues = new Map<string, Queue>()

  const queueFor = (model: string): Queue => {
    // A Queue made while Redis is away never becomes usable, so none is made then.
    if (redis.status !== 'ready') throw new Error(`Redis connection is ${redis.status}`)
    const known = queues.get(model)
    if (known !== undefined) return known
    const queue = new Queue(queueName, {
      connection: redis,
      prefix: queuePrefix(model),
      skipWaitingForReady: true,
      streams: { events: { maxLen: eventStreamLength } },
    })
    // Reported by the connection's own listener.
    queue.on('error', () => {})
    queue.waitUntilReady().catch(() => queues.delete(model))
    queues.set(model, queue)
    return queue
  }

  return {
    async add(job) {
      await queueFor(job.model).add('infer', job, {
        jobId: job.id,
        // The result is stored apart and expires by itself; BullMQ's copy goes at once.
        removeOnComplete: true,
        // A job's own failure is a result. BullMQ sees one only when its result could not be stored.
        attempts: 10,
        backoff: { type: 'exponential', delay: 500 },
      })
    },
    async find(model, id) {
      const queue = queueFor(model)
      const [state, job] = await Promise.all([queue.getJobState(id), queue.getJob(id)])
      if (job === undefined || state === 'unknown' || state === 'completed') return null
      return {
        state: state === 'active' || state === 'failed' ? state : 'waiting',
        startedAt: job.processedOn ?? Date.now(),
        attempts: job.attemptsStarted,
      }
    },
    async close() {
      await Promise.allSettled([...queues.values()].map(async (queue) => queue.close()))
    },
  }
}
