import { fileURLToPath } from 'node:url'

import { VisionQueueError, type ModelManifest, type ModelStats } from '@vision-queue/jobs'

import { createDeferred } from './deferred.ts'
import type { EngineAnswer, EngineJob } from './engine-protocol.ts'
import { createJobBoard, type BoardJob, type Seat } from './job-board.ts'
import { createPoolStats } from './pool-stats.ts'
import type { RuntimeLog } from './runtime-log.ts'
import { superviseEngine, type SupervisedEngine } from './supervised-engine.ts'
import type { TaskOutput } from './task-output.ts'

/** A job for a model. */
export interface InferenceRequest extends EngineJob {
  /** Run it in an engine of its own at once, as one that is suspected of killing engines. */
  alone?: boolean
  /** Drops the job if its batch isn't launched yet; in any case `run` rejects with the signal's reason. */
  signal?: AbortSignal
}

export interface InferenceResult {
  output: TaskOutput
  /** Which of the model's graphs answered, such as `fp32`. */
  variant: string
  /** From its arrival in the engine until it was ready for a batch. */
  preprocessMs: number
  /** The session run of its batch. */
  inferenceMs: number
  batchSize: number
}

/** The pool closed before the job was answered. It may be run again elsewhere: nothing is known of it. */
export class HandedBackError extends Error {
  constructor() {
    super('the engine pool closed before it answered this job')
    this.name = 'HandedBackError'
  }
}

/** Engine processes that all serve one model. */
export interface EnginePool {
  /**
   * Resolves when the first engine can take jobs, the others may still be loading. Rejects with
   * `model_unavailable` where the model can't be loaded; the pool is of no more use then.
   */
  readonly ready: Promise<ModelManifest>
  /**
   * Runs a job. It may be called before `ready`. Rejects with a VisionQueueError: what is wrong with
   * the input, `deadline_exceeded`, `inference_failed`, `engine_crashed`, `model_unavailable`; with
   * HandedBackError after `close`; with the signal's reason.
   */
  run: (request: InferenceRequest) => Promise<InferenceResult>
  /** Jobs without an answer. */
  readonly inFlight: number
  /** Process ids of the engines that run, for figures by process. */
  readonly pids: number[]
  /** Engine processes there are meant to be. */
  readonly engines: number
  /** What the pool has done since it was made. */
  stats: () => ModelStats
  /** CPU time in seconds of all engine processes so far, those that died included. */
  cpuSeconds: () => number
  /**
   * Hands back what no engine has, waits at most `deadlineMs` for the rest, hands back what is left
   * then, kills the engines and waits for their end.
   */
  close(options: { deadlineMs: number }): Promise<void>
}

export interface EnginePoolOptions {
  /** `<repository>/<name>/<version>`, from findModel. */
  modelFolder: string
  name: string
  version: string
  /** Processes. On a CPU one per core, with one thread each, is the fastest; per GPU one. */
  engines: number
  /** Threads that share one session run. */
  intraOpThreads: number
  /** An engine that has work and says nothing for so long is killed, as if it had crashed. */
  runTimeoutMs: number
  /** Images of more pixels are refused by the decoder. Default: 50 million. */
  maxImagePixels?: number
  /** Environment of the engines; nothing else of this process's is passed on. Default: empty. */
  env?: Record<string, string>
  /** Program of the engines, for tests. */
  engineEntry?: string
  log: RuntimeLog
  /** Told the ids of each batch when it starts. */
  onLaunch?: (ids: readonly string[]) => void
}

interface PoolJob extends BoardJob {
  resolve: (result: InferenceResult) => void
  reject: (reason: unknown) => void
}

interface EngineSeat extends Seat<PoolJob> {
  engine: SupervisedEngine
}

const startTries = 3

export function createEnginePool(options: EnginePoolOptions): EnginePool {
  const {
    modelFolder,
    name,
    version,
    engines,
    intraOpThreads,
    maxImagePixels = 50_000_000,
    runTimeoutMs,
    log,
    env = {},
  } = options
  const entry = options.engineEntry ?? fileURLToPath(new URL('engine-process.ts', import.meta.url))
  const board = createJobBoard<PoolJob>()
  const stats = createPoolStats()
  const unanswered = new Set<PoolJob>()
  let manifest: ModelManifest | null = null
  /** Why no job is taken any more. */
  let closedBy: Error | null = null
  let closed: Promise<void> | null = null
  let whenIdle: (() => void) | null = null

  const ready = createDeferred<ModelManifest>()
  // A caller who only ever calls run() learns of it there.
  ready.promise.catch(() => {})
  const seats = Array.from({ length: engines }, createSeat)

  function createSeat(): EngineSeat {
    const seat: EngineSeat = {
      handed: new Map(),
      launched: new Set(),
      get ready() {
        return seat.engine.up
      },
      engine: superviseEngine({
        fork: {
          entry,
          options: { name, version, folder: modelFolder, intraOpThreads, maxImagePixels },
          engines,
          env,
        },
        silenceTimeoutMs: runTimeoutMs,
        log,
        events: {
          onReady(message) {
            log.info({ pid: seat.engine.pid, model: name, version }, 'an engine is ready')
            manifest ??= message.manifest
            ready.resolve(manifest)
            dispatch()
          },
          onLaunch(ids) {
            for (const id of ids) seat.launched.add(id)
            options.onLaunch?.(ids)
          },
          onAnswers({ answers, runs }) {
            for (const answer of answers) finish(seat, answer)
            stats.countRuns(runs)
            dispatch()
          },
          onDeath({ silent }) {
            if (closedBy !== null) {
              handBack([...seat.handed.values()])
              return
            }
            const culprit = board.takeBack(seat)
            if (culprit !== null) fail(culprit, crashed(silent ? runTimeoutMs : null))
            dispatch()
          },
          onStartFailure({ error, tries, final }) {
            board.endQuarantine(seat)
            if (manifest === null && (final || tries >= startTries)) giveUp(error)
            else log.error({ err: error, model: name, version, tries }, 'an engine can not load its model')
            dispatch()
          },
        },
      }),
    }
    return seat
  }

  function dispatch(): void {
    if (closedBy === null && manifest !== null) {
      for (const [seat, jobs] of board.assign(seats, 2 * manifest.maxBatchSize)) {
        const engine = seats.find((candidate) => candidate === seat)?.engine
        engine?.send({ kind: 'jobs', jobs: jobs.map(({ job }) => job) })
      }
    }
    for (const { engine, handed } of seats) engine.expectWork(handed.size > 0)
    if (unanswered.size === 0) whenIdle?.()
  }

  function settle(job: PoolJob): boolean {
    if (job.settled) return false
    job.settled = true
    unanswered.delete(job)
    return true
  }

  function fail(job: PoolJob, error: VisionQueueError): void {
    if (!settle(job)) return
    stats.countJob(error.code === 'deadline_exceeded' ? 'expired' : 'failed')
    job.reject(error)
  }

  function handBack(jobs: readonly PoolJob[], reason: Error = new HandedBackError()): void {
    for (const job of jobs) if (settle(job)) job.reject(reason)
  }

  function finish(seat: EngineSeat, answer: EngineAnswer): void {
    const job = seat.handed.get(answer.id)
    seat.handed.delete(answer.id)
    seat.launched.delete(answer.id)
    if (job === undefined || job.settled) return
    switch (answer.kind) {
      case 'value': {
        const { output, preprocessMs, inferenceMs, batchSize } = answer
        settle(job)
        stats.countJob('succeeded', preprocessMs)
        job.resolve({ output, variant: manifest?.variant ?? '', preprocessMs, inferenceMs, batchSize })
        break
      }
      case 'error':
        fail(job, new VisionQueueError(answer.error.code, answer.error.detail, { cause: answer.cause ?? undefined }))
        break
      case 'canceled':
        break
      default:
        answer satisfies never
    }
  }

  /** The model can't be served: everyone who waits is told why. */
  function giveUp(error: VisionQueueError): void {
    if (closedBy !== null) return
    closedBy = error
    log.error({ err: error, model: name, version }, 'the model can not be served')
    ready.reject(error)
    handBack([...unanswered], error)
    closed = stopEngines()
  }

  async function stopEngines(): Promise<void> {
    await Promise.all(seats.map(async ({ engine }) => engine.stop()))
  }

  async function shutDown(deadlineMs: number): Promise<void> {
    closedBy = new HandedBackError()
    handBack(board.clear())
    ready.reject(closedBy)
    if (unanswered.size > 0) {
      const idle = createDeferred<void>()
      whenIdle = idle.resolve
      const timer = setTimeout(idle.resolve, deadlineMs)
      await idle.promise
      clearTimeout(timer)
    }
    await stopEngines()
    handBack([...unanswered])
  }

  return {
    ready: ready.promise,
    async run({ alone = false, signal, ...job }) {
      if (closedBy !== null) throw closedBy
      signal?.throwIfAborted()
      const { promise, resolve, reject } = createDeferred<InferenceResult>()
      const entered: PoolJob = { job, resolve, reject, settled: false, suspect: alone, deaths: 0 }
      const onAbort = (): void => {
        if (!settle(entered)) return
        stats.countJob('canceled')
        seats.find(({ handed }) => handed.has(job.id))?.engine.send({ kind: 'cancel', id: job.id })
        reject(signal?.reason)
        dispatch()
      }
      signal?.addEventListener('abort', onAbort)
      unanswered.add(entered)
      board.add(entered)
      dispatch()
      try {
        return await promise
      } finally {
        signal?.removeEventListener('abort', onAbort)
      }
    },
    engines,
    get inFlight() {
      return unanswered.size
    },
    get pids() {
      return seats.flatMap(({ engine: { pid } }) => (pid === undefined ? [] : [pid]))
    },
    stats() {
      return {
        ...stats.figures(),
        engineRestarts: seats.reduce((sum, { engine }) => sum + engine.restarts, 0),
      }
    },
    cpuSeconds: () => seats.reduce((sum, { engine }) => sum + engine.cpuSeconds, 0),
    async close({ deadlineMs }) {
      closed ??= shutDown(deadlineMs)
      await closed
    },
  }
}

function crashed(silentForMs: number | null): VisionQueueError {
  return new VisionQueueError(
    'engine_crashed',
    silentForMs === null
      ? 'The engine died while it ran this job alone.'
      : `The engine ran this job alone and did not finish within ${silentForMs} ms.`,
  )
}
