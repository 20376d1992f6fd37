import { randomUUID } from 'node:crypto'

import {
  ErrorCode,
  isNotConnectionError,
  type JobJson,
  type KeepJobs,
  type MinimalJob,
  type MoveToDelayedOpts,
  type MoveToWaitingChildrenOpts,
  type ParentKeyOpts,
  RedisQueueBackend,
  type RetryJobOpts,
} from 'bullmq'

import { storedStep } from '../steps/add-step.ts'
import { finishStep } from '../steps/finish-step.ts'
import type { Turns } from '../turns/create-turns.ts'
import type { Step } from '../turns/step.ts'
import type { BackendParts } from './backend-parts.ts'
import { isPlain } from './plain-job.ts'
import { blockUpTo, SameMoment } from './same-moments.ts'
import { Taker } from './taker.ts'
import { Waker } from './waker.ts'

type Finished = { result: unknown[]; finishedOn: number }

/**
 * BullMQ's Redis backend, with the paths of most jobs replaced: adding a plain job, taking jobs, and completing one.
 * What is asked of them in one turn of the event loop travels in one script call. Everything else is BullMQ's own, on
 * the same keys, so that its own Queues and Workers may serve the same queue beside.
 */
export class BatchingBackend extends RedisQueueBackend {
  readonly #turns: Turns
  readonly #parts: BackendParts
  readonly #taker: Taker
  readonly #waker: Waker
  readonly #look: SameMoment
  /** What all keys of the queue begin with. */
  readonly #base: string

  constructor(parts: BackendParts) {
    const { plain, name, options, turns, adds, events } = parts
    super(plain.connection, name, plain.keys, (type) => plain.toKey(type), options, plain.blockingConnection)
    this.#turns = turns
    this.#parts = parts
    this.#base = this.toKey('')
    this.#taker = new Taker({
      turns,
      adds,
      base: this.#base,
      concurrency: options.concurrency ?? 1,
      lockMs: options.lockDuration ?? 30_000,
      workerName: options.name ?? '',
      events,
      lockBase: `${randomUUID()}:b`,
      takeOne: async (token) => super.moveToActive(token, options.name),
      onReady: () => this.#waker.tellReady(),
    })
    this.#waker = new Waker(this.#taker, { turns, adds }, this.#base)
    this.#look = new SameMoment(options.stalledInterval ?? 30_000)
  }

  override async addJob(job: JobJson, jobId: string, parent?: ParentKeyOpts): Promise<string> {
    if (!isPlain(job, parent)) return super.addJob(job, jobId, parent)
    const stored = { ...job, id: jobId ?? '' }
    const step = storedStep(this.#base, stored, { priorityFromCarry: false, events: this.#parts.events })
    const [id] = await this.#turns.run([step])
    return String(id)
  }

  override async addJobs(entries: { job: JobJson; jobId: string; parentKeyOpts?: ParentKeyOpts }[]): Promise<string[]> {
    // They are added in their order, so all of them the same way.
    if (!entries.every(({ job, parentKeyOpts }) => isPlain(job, parentKeyOpts))) return super.addJobs(entries)
    return Promise.all(entries.map(async ({ job, jobId }) => this.addJob(job, jobId)))
  }

  override async moveToActive(token: string, name?: string): Promise<unknown[]> {
    // What BullMQ counts for a Worker's own rate limit is counted by its own script.
    if (this.#parts.options.limiter !== undefined) return super.moveToActive(token, name)
    return this.#taker.next(token)
  }

  override async moveToCompleted<T, R, N extends string>(
    job: MinimalJob<T, R, N>,
    returnValue: R,
    removeOnComplete: boolean | number | KeepJobs,
    token: string,
    fetchNext: boolean,
  ): Promise<Finished> {
    const { limiter, metrics, removeOnComplete: kept } = this.#parts.options
    const id = job.id ?? ''
    const keep = this.getKeepJobs(removeOnComplete, kept)
    const completeBy = async (lock: string, fetch: boolean): Promise<Finished> => {
      const { result, finishedOn } = await super.moveToCompleted(job, returnValue, removeOnComplete, lock, fetch)
      return { result: Array.isArray(result) ? result : [], finishedOn }
    }
    if ('age' in keep || metrics !== undefined || limiter !== undefined) {
      return this.#own(token, id, async (lock) => completeBy(lock, fetchNext))
    }
    const next = fetchNext && this.closing === undefined ? this.#taker.after(token) : null
    try {
      const lock = this.#taker.lockOf(token, id)
      const now = Date.now()
      const value = JSON.stringify(returnValue) ?? 'null'
      const { events } = this.#parts
      const step = finishStep(this.#base, { id, lock, value, now, keep: keep.count, events, takes: next !== null })
      const code = await this.#finish(job, returnValue, step)
      if (code === 1) await completeBy(lock, false)
      else if (code !== 0) throw this.finishedErrors({ code, jobId: id, command: 'moveToFinished', state: 'active' })
      this.#taker.release(token, id)
      // The job is done. If no other could be taken, the Worker's loop asks again, and hears why.
      const result = (await next?.next.catch(() => [])) ?? []
      return { result, finishedOn: now }
    } catch (error) {
      // The Worker has the job still: it fails it, or tries to end it again.
      next?.abandon()
      throw error
    }
  }

  /** Ends the job, with the caller's own steps in front of that in the same chain. */
  async #finish(job: MinimalJob, returnValue: unknown, step: Step): Promise<number> {
    const { finishing, onStopped, onReplied } = this.#parts
    const ahead = finishing?.(job, returnValue) ?? []
    const replies = await this.#turns.run([...ahead, step], { whenFull: true })
    if (replies.length > ahead.length) {
      await onReplied?.(job, replies.slice(0, -1))
      return Number(replies.at(-1))
    }
    await onStopped?.(job, replies)
    const [code] = await this.#turns.run([step], { whenFull: true })
    return Number(code)
  }

  override async waitForJob(blockTimeout: number): Promise<{ member: string; score: number } | null> {
    if (this.#parts.options.limiter !== undefined) return super.waitForJob(blockTimeout)
    return this.#waker.wait(blockTimeout, async () => super.waitForJob(blockUpTo(blockTimeout)))
  }

  override async moveStalledJobsToWait(): Promise<string[]> {
    await this.#look.come()
    return this.closing === undefined ? super.moveStalledJobsToWait() : []
  }

  override async disconnectBlocking(wait = true): Promise<void> {
    await this.#taker.stop()
    return super.disconnectBlocking(wait)
  }

  override async reconnectBlocking(): Promise<void> {
    this.#taker.start()
    return super.reconnectBlocking()
  }

  override async close(force = false): Promise<void> {
    this.#waker.close()
    const stopped = this.#taker.stop()
    if (!force) await stopped
    return super.close(force)
  }

  // What follows is BullMQ's own: only the lock's text is another than the Worker's token.

  /** Runs what takes a lock's text, which may take the Worker's next job under the same one. */
  async #own<Result>(token: string, id: string, run: (lock: string) => Promise<Result>): Promise<Result> {
    const lock = this.#taker.lockOf(token, id)
    this.#taker.forgetEmpty()
    try {
      const result = await run(lock)
      // A job that did not move to its children, because none is left, goes on.
      if (result !== false) this.#taker.release(token, id)
      const next = nextOf(result)
      if (next !== null) this.#taker.hold(token, next, lock)
      return result
    } catch (error) {
      if (isLost(error)) this.#taker.release(token, id)
      throw error
    }
  }

  override async moveToFailed<T, R, N extends string>(
    job: MinimalJob<T, R, N>,
    failedReason: string,
    removeOnFail: boolean | number | KeepJobs,
    token: string,
    fetchNext: boolean,
    fields?: Record<string, unknown>,
  ): ReturnType<RedisQueueBackend['moveToFailed']> {
    const id = job.id ?? ''
    try {
      return await this.#own(token, id, async (lock) =>
        super.moveToFailed(job, failedReason, removeOnFail, lock, fetchNext, fields),
      )
    } catch (error) {
      // The Worker tries again only if the connection was lost.
      if (error instanceof Error && isNotConnectionError(error)) this.#taker.release(token, id)
      throw error
    }
  }

  override async moveToDelayed(id: string, at: number, delay: number, token = '0', opts?: MoveToDelayedOpts) {
    return this.#own(token, id, async (lock) => super.moveToDelayed(id, at, delay, lock, opts))
  }

  override async retryJob(id: string, lifo: boolean, token = '0', opts?: RetryJobOpts): Promise<void> {
    return this.#own(token, id, async (lock) => super.retryJob(id, lifo, lock, opts))
  }

  override async moveJobFromActiveToWait(id: string, token = '0'): Promise<number> {
    return this.#own(token, id, async (lock) => super.moveJobFromActiveToWait(id, lock))
  }

  override async moveToWaitingChildren(id: string, token: string, opts?: MoveToWaitingChildrenOpts): Promise<boolean> {
    return this.#own(token, id, async (lock) => super.moveToWaitingChildren(id, lock, opts))
  }

  override async extendLock(id: string, token: string, duration: number): Promise<number> {
    return super.extendLock(id, this.#taker.lockOf(token, id), duration)
  }

  override async extendLocks(ids: string[], tokens: string[], duration: number): Promise<string[]> {
    return super.extendLocks(
      ids,
      tokens.map((token, index) => this.#taker.lockOf(token, ids[index] ?? '')),
      duration,
    )
  }
}

const lostCodes = new Set<unknown>([
  ErrorCode.JobNotExist,
  ErrorCode.JobLockNotExist,
  ErrorCode.JobNotInState,
  ErrorCode.JobLockMismatch,
])

/** Whether the error says that the Worker has the job no more. After any other one it goes on with the job. */
function isLost(error: unknown): boolean {
  return error instanceof Error && 'code' in error && lostCodes.has(error.code)
}

/** The id of the job that BullMQ's script took next. */
function nextOf(result: unknown): string | null {
  const next: unknown = typeof result === 'object' && result !== null && 'result' in result ? result.result : result
  if (!Array.isArray(next) || !next[0]) return null
  return String(next[1])
}
