import { type BlobValues, createRedisBlobs, inlineValues } from '@vision-queue/blobs'
import type { Turns } from '@vision-queue/bullmq-batching'
import type { JobSignal, Retention } from '@vision-queue/process'
import type { Job } from '@vision-queue/protocol'
import {
  guarded as guardedBy,
  openFailFastConnection,
  openSubscriber,
  readEvictionPolicy,
  readRedisFigures,
  type RedisClient,
  type RedisFigures,
  type TransportLog,
} from '@vision-queue/redis'

import { createJobBlobs } from '../job-blobs.ts'
import { createJobQueues } from '../job-queues.ts'
import { replyChannel } from '../keys.ts'
import type { QueuedJob } from '../queued-job.ts'
import { clockToleranceMs, openRedisClock } from '../redis-clock.ts'
import { turnsOf } from '../redis-turns.ts'
import { newReplyName } from '../reply-name.ts'
import { createResultStore } from '../worker/result-store.ts'
import { type AdmissionLimits, type AdmitOptions, createAdmission } from './admission.ts'
import { type Backlog, readBacklog } from './backlog.ts'
import { createIdempotencyKeys, type IdempotencyClaim, type IdempotencyKeys } from './idempotency-keys.ts'
import { openJobChannels } from './job-channels.ts'
import { createJobControl, createJobEnder } from './job-control.ts'
import { createJobIndex } from './job-index.ts'
import { createJobReading } from './job-reading.ts'
import { createKnownAnswers } from './known-answers.ts'
import { createLatelySeen } from './lately-seen.ts'
import { openOrphanSweep } from './orphan-sweep.ts'
import { createOwnedJobs, type OwnedJobs } from './owned-jobs.ts'
import { createOwnerQuotas } from './owner-quota.ts'
import { createSubmission } from './submission.ts'
import { submitForReply } from './wait-for-reply.ts'
import { assertLoaded, probeWrite } from './write-probe.ts'

/** Bytes by their SHA-256. */
export type BlobBytes = ReadonlyMap<string, Uint8Array>

/** A job that was accepted. */
export interface Accepted {
  /** As it is: `queued` or, where an earlier answer serves, final. */
  job: Job
  /** How many unfinished jobs of the same model were accepted before it; null: it needs no turn. */
  queuePosition: number | null
  /** Where its answer came from without being computed. */
  answeredFrom: 'memory' | 'redis' | null
}

export interface SubmitOptions extends AdmitOptions {
  /** Of the Idempotency-Key; null, the default: there is none. */
  claim: IdempotencyClaim | null
}

/** What the API needs of the queue. Every call rejects with `queue_unavailable` while Redis can't be reached. */
export interface JobClient extends IdempotencyKeys {
  /** The jobs of an owner; null: those that were submitted without a key. */
  of(owner: string | null): OwnedJobs
  /**
   * Stores the image under its hash, checks the bound and queues the job, in that order of effect:
   * when this resolves the job is in Redis and will reach a final state. Where the answer is known already
   * (`digest`), the job is final at once and takes no place. `blobs` has the bytes of its blobs by their hash; those
   * that are stored already may be left out. Rejects with `queue_full` over `maxJobs` or `maxBytes`, with
   * `quota_exceeded` over the owner's and with `deadline_unmeetable`, all with `retryAfterMs`.
   */
  submit(job: QueuedJob, blobs: BlobBytes, options?: Partial<SubmitOptions>): Promise<Accepted>
  /**
   * Submits and waits until the job is final, `timeoutMs` have passed or `signal` fires. Rejects only where
   * `submit` would: once the job is accepted, it is given as it was last known. Cheaper than `submit` and
   * `waitFor`: the consumer answers this process directly, and nothing is read or subscribed to for the job.
   */
  submitAndWait(
    job: QueuedJob,
    blobs: BlobBytes,
    options: Partial<SubmitOptions> & { timeoutMs: number; signal?: JobSignal },
  ): Promise<Accepted>
  /** Cancels the jobs that wait for the model, those pinned to `versions` too; resolves to how many there were. */
  purge(model: string, versions: readonly string[]): Promise<number>
  /** Resolves when Redis answers; rejects with `queue_unavailable` within the command timeout. */
  ping(): Promise<void>
  /** Resolves when Redis takes writes for these models; see probeWrite. Rejects with `queue_unavailable`, which says why not. */
  probeWrite(models: readonly string[]): Promise<void>
  /** Under which Redis drops keys when its memory is full, which loses accepted jobs (maxmemory-policy); null: none. */
  evictionPolicy(): Promise<string | null>
  /** Unfinished jobs admitted for the model, and their payload bytes. */
  depth(model: string): Promise<{ jobs: number; bytes: number }>
  /** What they do: wait, or are held by a consumer. `versions`: those that jobs may be pinned to. */
  backlog(model: string, versions: readonly string[]): Promise<Backlog>
  /** What each Redis server tells of itself. */
  redisFigures(): Promise<RedisFigures[]>
  /** Ends all events, waits and connections; waits for none of them. */
  close(): Promise<void>
}

export interface JobClientOptions extends AdmissionLimits {
  redisUrl: string
  /** As the consumers' settings are: the API ends jobs, too. */
  retention: Retention
  /** How many jobs of one owner are listed; 0: none are. */
  listLength: number
  /** Memory for answers that this process has met; 0: none. */
  answerMemoryBytes: number
  /** How long Redis may take to answer one command before the caller gets `queue_unavailable`. */
  commandTimeoutMs: number
  /** How often submissions that broke off half-way are looked for. */
  orphanCheckMs: number
  /** A connection that fails fast, shared with others and left open; default: one of its own. */
  redis?: RedisClient | undefined
  /** What Redis holds of blobs. Default: their bytes. */
  values?: BlobValues
  /** Of the same connection, where others share them; default: its own. They know what `turnsOf` gives. */
  turns?: Turns
  log: TransportLog
}

export function openJobClient(options: JobClientOptions): JobClient {
  const redis = options.redis ?? openFailFastConnection({ ...options, name: 'api' })
  const guarded = <T>(work: Promise<T>): Promise<T> => guardedBy(work, redis)
  const subscriber = openSubscriber({ ...options, name: 'api-subscriber' })
  const turns = options.turns ?? turnsOf(redis)
  const admission = createAdmission(redis, {}, turns)
  const quotas = createOwnerQuotas(redis, turns)
  const values = options.values ?? inlineValues
  const stored = createRedisBlobs(redis, turns, values)
  const jobBlobs = createJobBlobs(redis, stored)
  const queues = createJobQueues(redis, turns)
  const clock = openRedisClock(redis)
  const { retention, log } = options
  const results = createResultStore({ redis, turns, retention, answerTtlMs: 0 })
  const controlled = { redis, queues, results, retention, clock }
  const ender = createJobEnder(controlled)
  const control = createJobControl(controlled, ender)
  const keepMs = options.payloadTtlMs + Math.max(retention.resultTtlMs, retention.failedResultTtlMs)
  const index = createJobIndex({ redis, turns, listLength: options.listLength, keepMs })
  const swept = { redis, admission, queues, quotas, blobs: stored }
  const orphans = openOrphanSweep({ ...swept, everyMs: options.orphanCheckMs, log })
  /** What consumers call this process by. */
  const processName = newReplyName()
  const read = createJobReading({ ...controlled, ender })
  // A submission is some commands, each of which may take its time.
  const idempotency = createIdempotencyKeys({
    redis,
    read,
    sendMs: 1000 + 6 * options.commandTimeoutMs + values.patienceMs,
    keepMs,
  })
  const channels = openJobChannels({ subscriber, replies: replyChannel(processName), log })
  const of = createOwnedJobs({ redis, read, channels, control, index, log })

  const { submit } = createSubmission({
    ...controlled,
    turns,
    jobBlobs,
    values,
    index,
    seen: createLatelySeen(),
    known: createKnownAnswers(options.answerMemoryBytes),
    limits: options,
    // For a few commands, and for what is stored elsewhere in between.
    placeMs: 1000 + 4 * options.commandTimeoutMs + values.patienceMs,
    patienceMs: options.commandTimeoutMs + clockToleranceMs,
  })

  return {
    submit: (job, blobs, admit) => guarded(submit(job, blobs, admit)),
    submitAndWait: async (job, blobs, { timeoutMs, signal, ...admit }) =>
      submitForReply(channels, {
        id: job.id,
        submit: async () => submit({ ...job, replyTo: processName }, blobs, admit),
        read: async () => read(job.id, job.owner),
        guard: guarded,
        timeoutMs,
        signal,
      }),
    of,
    claim: (request) => guarded(idempotency.claim(request)),
    purge: (model, versions) => guarded(control.purge(model, versions)),
    async ping() {
      await guarded(redis.ping())
    },
    probeWrite: (models) => guarded(probeWrite(redis, models)),
    evictionPolicy: () => guarded(assertLoaded(redis).then(async () => await readEvictionPolicy(redis))),
    depth: (model) => guarded(admission.depth(model)),
    backlog: (model, versions) => guarded(readBacklog(redis, { model, versions, payloadTtlMs: options.payloadTtlMs })),
    redisFigures: () => guarded(readRedisFigures(redis)),
    async close() {
      orphans.close()
      clock.close()
      channels.close()
      await queues.close()
      if (options.redis === undefined) redis.disconnect()
      subscriber.disconnect()
    },
  }
}
