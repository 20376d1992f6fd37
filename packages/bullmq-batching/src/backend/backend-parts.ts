import type { MinimalJob, QueueBaseOptions, RedisQueueBackend, WorkerOptions } from 'bullmq'

import type { Turns } from '../turns/create-turns.ts'
import type { Step } from '../turns/step.ts'

/** The caller's own steps at a job's end. */
export interface FinishingOptions {
  /**
   * Steps that travel in front of a job's end, in the same chain. Asked when the processor's promise has resolved, and
   * again when the end is tried again because its reply was lost: they must bear being run twice.
   */
  readonly finishing?: (job: MinimalJob, returnValue: unknown) => readonly Step[]
  /**
   * Called when one of those steps ended the chain, with the replies so far. The job is ended then in a call of its
   * own, when the returned promise has resolved.
   */
  readonly onStopped?: (job: MinimalJob, replies: readonly unknown[]) => void | Promise<void>
  /** Called when all of those steps were run, with their replies, whether or not the job could be ended then. */
  readonly onReplied?: (job: MinimalJob, replies: readonly unknown[]) => void | Promise<void>
}

/** What a batching backend is made of. */
export interface BackendParts extends FinishingOptions {
  /** BullMQ's own backend of the same queue, for its connections. */
  readonly plain: RedisQueueBackend
  readonly name: string
  /** What the Queue or the Worker was given. */
  readonly options: QueueBaseOptions & WorkerSide
  readonly turns: Turns
  /** By which jobs are added in this process. */
  readonly adds: Turns
  readonly events: boolean
}

type WorkerSide = Partial<
  Pick<
    WorkerOptions,
    'concurrency' | 'limiter' | 'lockDuration' | 'metrics' | 'name' | 'removeOnComplete' | 'stalledInterval'
  >
>
