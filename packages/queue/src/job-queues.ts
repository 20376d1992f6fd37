import { addStep, type Step, type Turns } from '@vision-queue/bullmq-batching'
import type { RedisClient } from '@vision-queue/redis'
import { Queue } from 'bullmq'

import { pinnedQueueName, placeOf, queueName, queueNameOf, queuePrefix } from './keys.ts'
import { readPlaces } from './queue-places.ts'
import type { QueuedJob } from './queued-job.ts'
import { turnsOf } from './redis-turns.ts'

/** The producer's side of BullMQ: one queue per part of a model's, and one per version for the jobs pinned to it. */
export interface JobQueues {
  /**
   * Queues the job under its own id, in its `turn` (turns.ts): the lowest is taken first, equal ones in their order,
   * and none (null) before all that have one. A job of the same id that is there already stays as it is.
   */
  add(job: QueuedJob, turn: number | null): Promise<void>
  /** Where the job is in its queue; null when it isn't there. */
  find(job: QueuedJob): Promise<{ state: 'waiting' | 'active' | 'failed'; startedAt: number; attempts: number } | null>
  /** Takes the job out, wherever it is; false where a consumer holds it. */
  remove(job: QueuedJob): Promise<boolean>
  /** What was queued of some jobs that wait in a part: of those pinned to `version`, with null of all others. */
  listWaiting(place: string, version: string | null, most: number): Promise<unknown[]>
  /** Jobs pinned to the version that are not finished, in all parts. */
  countPinned(model: string, version: string): Promise<number>
  close(): Promise<void>
}

/** How many entries BullMQ's event stream keeps; nothing here reads it. */
export const eventStreamLength = 100

/**
 * The step that queues a job as `JobQueues.add` does; `carried`: in the turn that the chain's admission has given it.
 * `json`: the job as JSON, where the caller has it.
 */
export function queueStep(job: QueuedJob, turn: number | null | 'carried', json = JSON.stringify(job)): Step {
  const options = {
    ...(typeof turn === 'number' ? { priority: turn } : {}),
    // The result is stored apart and expires by itself; BullMQ's copy goes at once.
    removeOnComplete: true,
    // A job's own failure is a result. BullMQ sees one only when its result could not be stored.
    attempts: 10,
    backoff: { type: 'exponential', delay: 500 },
  }
  return addStep(
    { prefix: queuePrefix(placeOf(job)), name: queueNameOf(job) },
    { id: job.id, name: 'infer', dataJson: json, opts: options },
    { priorityFromCarry: turn === 'carried' },
  )
}

export function createJobQueues(redis: RedisClient, turns: Turns = turnsOf(redis)): JobQueues {
  const queues = new Map<string, Queue>()

  const queueFor = (place: string, name: string): Queue => {
    // A Queue made while Redis is away never becomes usable, so none is made then.
    if (redis.status !== 'ready') throw new Error(`Redis connection is ${redis.status}`)
    const key = `${queuePrefix(place)}:${name}`
    const known = queues.get(key)
    if (known !== undefined) return known
    const queue = new Queue(name, {
      connection: redis,
      prefix: queuePrefix(place),
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
    async add(job, turn) {
      await turns.run([queueStep(job, turn)])
    },
    async find(queued) {
      const queue = queueFor(placeOf(queued), queueNameOf(queued))
      const [state, job] = await Promise.all([queue.getJobState(queued.id), queue.getJob(queued.id)])
      if (job === undefined || state === 'unknown' || state === 'completed') return null
      return {
        state: state === 'active' || state === 'failed' ? state : 'waiting',
        startedAt: job.processedOn ?? Date.now(),
        attempts: job.attemptsStarted,
      }
    },
    async remove(job) {
      return (await queueFor(placeOf(job), queueNameOf(job)).remove(job.id)) === 1
    },
    async listWaiting(place, version, most) {
      const queue = queueFor(place, version === null ? queueName : pinnedQueueName(version))
      const jobs = await queue.getJobs(['waiting', 'prioritized', 'delayed'], 0, most - 1, true)
      // One that was taken and finished between two looks is undefined.
      return jobs.flatMap((job) => (job?.data === undefined ? [] : [job.data]))
    },
    async countPinned(model, version) {
      const places = await readPlaces(redis, model)
      const counts = places.map(async (place) =>
        queueFor(place, pinnedQueueName(version)).getJobCountByTypes('waiting', 'active', 'delayed', 'prioritized'),
      )
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
    },
    async close() {
      await Promise.allSettled([...queues.values()].map(async (queue) => queue.close()))
    },
  }
}
