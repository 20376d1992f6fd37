import { type BlobValues, createRedisBlobs } from '@vision-queue/blobs'
import { batchingBackend, type Step, type Turns } from '@vision-queue/bullmq-batching'
import { contextIn, jobFields } from '@vision-queue/process'
import { createLogLimit, openDurableConnection, type RedisClient, type TransportLog } from '@vision-queue/redis'
import { DelayedError, type Job as BullJob, Queue, WaitingError, Worker } from 'bullmq'

import { createJobBlobs, type JobBlobs } from '../job-blobs.ts'
import { eventStreamLength } from '../job-queues.ts'
import { pinnedQueueName, placeOf, queueName, queuePrefix } from '../keys.ts'
import { type QueuedJob, readQueuedJob } from '../queued-job.ts'
import { openRedisClock, type RedisClock } from '../redis-clock.ts'
import { turnsOf } from '../redis-turns.ts'
import { openTendedWorkers, type TendedWorker } from './tended-workers.ts'

/** A job as BullMQ delivers it, for one attempt. */
export interface Delivery {
  /** Null when what was queued is not a job this release understands. */
  job: QueuedJob | null
  id: string
  /** How often it has been taken, this time included. */
  attempts: number
  /** When it was taken, in milliseconds since 1970. */
  startedAt: number
  /** How often its consumer died while it held the job: again and again, and it is a suspect. */
  stalls: number
  /** The bytes of the job's blobs in their order, or null when one of them has expired. */
  readBlobs(job: QueuedJob): Promise<Uint8Array[] | null>
  /** The same for another process: the bytes, or an address on the web that gives them for a while. */
  handOverBlobs(job: QueuedJob): Promise<(Uint8Array | string)[] | null>
}

/** What became of a delivery; every other outcome is a rejection, after which BullMQ tries again with backoff. */
export type Disposition =
  /** Its result is stored or, with `ending`, is stored as the job leaves the queue. */
  | { kind: 'done'; ending?: Ending }
  /** Goes back to the head of the queue, for another consumer. */
  | { kind: 'hand-back' }
  /** Goes back and stays away for a while. */
  | { kind: 'delay'; delayMs: number }

/** What is done in the same call by which a job leaves the queue. */
export interface Ending {
  steps: readonly Step[]
  /** Does what is left, by what the steps replied: fewer than there are, if one of them has ended the chain. */
  settle(replies: readonly unknown[]): Promise<unknown>
}

export interface JobSource {
  /** Takes no more jobs, and resolves once those taken are done or handed back. Hangs while Redis is away: use a deadline. */
  close(): Promise<void>
  /** Lets go at once; what was held becomes another consumer's when its lock lapses. */
  abandon(): void
}

export interface JobSourceOptions {
  redisUrl: string
  /** A durable connection that is shared with others, and left open; default: one of its own. */
  redis?: RedisClient
  /** Of that connection; default: those that all its users share. */
  turns?: Turns
  /** The connection of this process' job client, if it has one: the jobs are taken by the call that adds them. */
  addsBy?: RedisClient | undefined
  /** What Redis holds of blobs. Default: their bytes. */
  values?: BlobValues | undefined
  model: string
  /** Of which part of the model's queue. Default: the first, 0. */
  part?: number
  /** Take the jobs pinned to this version; null: those that name none. Default: null. */
  pinnedTo?: string | null
  /** Jobs held at once. */
  concurrency: number
  /** How long a dead consumer's jobs stay its own. */
  lockMs: number
  /** How often lapsed locks are looked for. */
  stalledCheckMs: number
  handle: (delivery: Delivery) => Promise<Disposition>
  /** BullMQ has given up on the job: it was rejected in every attempt. */
  giveUp: (job: QueuedJob, attempts: number) => Promise<void>
  log: TransportLog
}

/** More than two of the longest blocking reads of BullMQ, after which it fetches anyway. */
const fetchSilenceMs = 30_000

/**
 * A BullMQ Worker, whose backend takes as many jobs by one call as it has places free, and ends those that are done in
 * one turn of the event loop by one. BullMQ never fails a job for stalling: whether it or its neighbour killed the
 * consumer only a run alone can tell, which is the handler's business.
 */
export function openJobSource(options: JobSourceOptions): JobSource {
  const { model, pinnedTo = null, log } = options
  const name = pinnedTo === null ? queueName : pinnedQueueName(pinnedTo)
  const redis = options.redis ?? openDurableConnection({ ...options, name: `consumer-${model}` })
  const disconnect = (): void => {
    if (options.redis === undefined) redis.disconnect()
  }
  const turns = options.turns ?? turnsOf(redis)
  const blobs = createJobBlobs(redis, createRedisBlobs(redis, turns, options.values))
  const clock = openRedisClock(redis)
  const errorLimit = createLogLimit()
  const { deliver, backend } = createDelivering({ ...options, clock, turns, blobs })

  const openWorker = (_index: number, run: (job: () => Promise<void>) => Promise<void>): TendedWorker => {
    const workerOptions = {
      connection: redis,
      prefix: queuePrefix(placeOf(options)),
      concurrency: options.concurrency,
      lockDuration: options.lockMs,
      stalledInterval: options.stalledCheckMs,
      maxStalledCount: 1_000_000,
    }
    const work = async (bullJob: BullJob, token?: string): Promise<void> => run(async () => deliver(bullJob, token))
    const worker = new Worker(name, work, workerOptions, backend)
    worker.on('error', (error) => {
      if (errorLimit.admits(error)) log.warn({ model, error: error.message }, 'A BullMQ worker reported an error')
    })
    worker.on('failed', (bullJob, error) => {
      log.error({ ...fieldsOf(bullJob), model, error: error.message }, 'An attempt at a job could not be finished')
      if (bullJob === undefined || bullJob.attemptsMade < (bullJob.opts.attempts ?? 1)) return
      const job = readQueuedJob(bullJob.data)
      if (job === null) return
      options
        .giveUp(job, bullJob.attemptsMade)
        .catch((cause: unknown) =>
          log.error({ ...fieldsOf(bullJob), error: String(cause) }, 'A result could not be stored'),
        )
    })
    return worker
  }
  const queue = new Queue(name, {
    connection: redis,
    prefix: queuePrefix(placeOf(options)),
    skipWaitingForReady: true,
    streams: { events: { maxLen: eventStreamLength } },
  })
  // Reported by the connection's own listener.
  queue.on('error', () => {})
  const workers = openTendedWorkers({
    count: 1,
    perWorker: options.concurrency,
    open: openWorker,
    countWaiting: async () => queue.getJobCountByTypes('waiting', 'prioritized'),
    silenceMs: fetchSilenceMs,
    log,
  })

  return {
    async close() {
      await workers.close()
      await queue.close()
      clock.close()
      disconnect()
    },
    abandon() {
      clock.close()
      workers.abandon()
      queue.close().catch(() => {})
      disconnect()
    },
  }
}

interface DeliveringOptions extends Pick<JobSourceOptions, 'addsBy' | 'model' | 'handle' | 'log'> {
  clock: Pick<RedisClock, 'jobToLocal'>
  turns: Turns
  blobs: Pick<JobBlobs, 'read' | 'handOver'>
}

/** How jobs come from BullMQ to the handler, and its endings into the call by which BullMQ ends them. */
function createDelivering({ addsBy, model, handle, log, clock, turns, blobs }: DeliveringOptions) {
  /** By the job as BullMQ has it. */
  const endings = new WeakMap<object, Ending>()
  const settleEnding = async (bullJob: object, replies: readonly unknown[]): Promise<void> => {
    await endings.get(bullJob)?.settle(replies)
  }
  return {
    backend: batchingBackend({
      turns,
      adds: addsBy === undefined ? undefined : turnsOf(addsBy),
      finishing: (bullJob) => endings.get(bullJob)?.steps ?? [],
      onReplied: settleEnding,
      onStopped: settleEnding,
    }),
    async deliver(bullJob: BullJob, token = ''): Promise<void> {
      const { id = '' } = bullJob
      const job = readQueuedJob(bullJob.data)
      if (job === null) log.error({ ...fieldsOf(bullJob), model }, 'A job of unknown shape was taken from the queue')
      const disposition = await handle({
        job: job === null ? null : clock.jobToLocal(job),
        id,
        attempts: bullJob.attemptsStarted,
        startedAt: bullJob.processedOn ?? Date.now(),
        stalls: bullJob.stalledCounter,
        readBlobs: blobs.read,
        handOverBlobs: blobs.handOver,
      })
      if (disposition.kind === 'done' && disposition.ending !== undefined) endings.set(bullJob, disposition.ending)
      await settle(bullJob, token, disposition)
    },
  }
}

/** Tells BullMQ what became of a delivery. Its own errors stand for a job that went back to its queue. */
async function settle(bullJob: BullJob, token: string, disposition: Disposition): Promise<void> {
  switch (disposition.kind) {
    case 'done':
      return
    case 'hand-back':
      await bullJob.moveToWait(token)
      throw new WaitingError()
    case 'delay':
      await bullJob.moveToDelayed(Date.now() + disposition.delayMs, token)
      throw new DelayedError()
    default:
      disposition satisfies never
  }
}

/** For the log: a job of an unknown shape has its request in the same place. */
function fieldsOf(bullJob: BullJob | undefined): object {
  return jobFields({ id: bullJob?.id, context: contextIn(bullJob?.data) })
}
