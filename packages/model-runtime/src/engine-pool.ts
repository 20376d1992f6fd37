import { fileURLToPath } from 'node:url'

import { VisionQueueError, type ModelManifest } from '@vision-queue/jobs'

import { createDeferred } from './deferred.ts'
import type { EngineAnswer } from './engine-protocol.ts'
import { executionOptionsSchema } from './execution-options.ts'
import {
  HandedBackError,
  type EnginePool,
  type EnginePoolOptions,
  type InferenceRequest,
  type InferenceResult,
} from './inference.ts'
import { createJobBoard, type BoardJob, type Seat } from './job-board.ts'
import { createPoolStats } from './pool-stats.ts'
import { superviseEngine, type SupervisedEngine } from './supervised-engine.ts'

interface PoolJob extends BoardJob {
  /** The caller's id. Inside the pool a job has a number: the same id may be asked for twice at a time. */
  requestId: string
  onTokens: InferenceRequest['onTokens']
  resolve: (result: InferenceResult) => void
  reject: (reason: unknown) => void
}

interface EngineSeat extends Seat<PoolJob> {
  engine: SupervisedEngine
  /** Which graph this engine runs. */
  variant: string
  /** The most jobs of its batches, as it said last; null before it has said it. */
  batchLimit: number | null
}

const startTries = 3

/**
 * Starts the engines. Jobs wait here, where a dying engine can't take them along, and each engine has
 * at most two batches' worth: one that runs and one that is prepared meanwhile.
 */
export function createEnginePool(options: EnginePoolOptions): EnginePool {
  const {
    modelFolder,
    name,
    version,
    engines,
    intraOpThreads,
    maxImagePixels = 50_000_000,
    shrinkAbovePixels,
    runTimeoutMs,
    log,
    env = {},
  } = options
  const entry = options.engineEntry ?? fileURLToPath(new URL('engine-process.ts', import.meta.url))
  let execution = executionOptionsSchema.parse(options.execution ?? {})
  const board = createJobBoard<PoolJob>()
  const stats = createPoolStats()
  const unanswered = new Set<PoolJob>()
  let manifest: ModelManifest | null = null
  /** Why no job is taken any more. */
  let closedBy: Error | null = null
  let closed: Promise<void> | null = null
  let onIdle: (() => void) | null = null
  let runs = 0

  const ready = createDeferred<ModelManifest>()
  // A caller who only ever calls run() learns of it there.
  ready.promise.catch(() => {})
  // The first engine chooses the variant, see onReady; the others come after it.
  const seats = [createSeat()]

  function createSeat(): EngineSeat {
    const seat: EngineSeat = {
      handed: new Map(),
      launched: new Set(),
      variant: '',
      batchLimit: null,
      get ready() {
        return seat.engine.up
      },
      engine: superviseEngine({
        fork: {
          entry,
          // Looked at anew for each process, for the variant may have been chosen by then.
          get options() {
            return { name, version, folder: modelFolder, intraOpThreads, maxImagePixels, shrinkAbovePixels, execution }
          },
          engines,
          env,
        },
        silenceTimeoutMs: runTimeoutMs,
        log,
        events: {
          onReady(message) {
            const { variant, provider, refusedProviders = [] } = message.manifest
            log.info({ pid: seat.engine.pid, model: name, version, variant, provider }, 'an engine is ready')
            // All engines are refused alike: said once.
            if (manifest === null) {
              for (const refusal of refusedProviders) {
                log.warn({ model: name, version, ...refusal }, 'an execution provider can not be used')
              }
              // Were each to measure for itself, the same picture might get another answer from another engine.
              if (variant !== 'fp16') execution = executionOptionsSchema.parse({ ...execution, variant })
            }
            seat.variant = variant
            seat.batchLimit = null
            manifest ??= message.manifest
            if (closedBy === null) while (seats.length < engines) seats.push(createSeat())
            ready.resolve(manifest)
            dispatch()
          },
          onLaunch(ids) {
            for (const id of ids) seat.launched.add(id)
            options.onLaunch?.(ids.flatMap((id) => seat.handed.get(id)?.requestId ?? []))
          },
          onTokens(tokens) {
            for (const { id, ...piece } of tokens) {
              const job = seat.handed.get(id)
              if (job?.settled === false) job.onTokens?.(piece)
            }
          },
          onAnswers(message) {
            for (const answer of message.answers) finish(seat, answer)
            stats.countRuns(message.runs)
            const before = seat.batchLimit ?? manifest?.maxBatchSize ?? message.batchLimit
            if (message.batchLimit < before) {
              log.warn(
                { model: name, version, batchLimit: message.batchLimit },
                'out of memory; batches are smaller now',
              )
            }
            seat.batchLimit = message.batchLimit
            dispatch()
          },
          onDeath({ silent }) {
            if (closedBy === null) {
              const culprit = board.takeBack(seat)
              if (culprit !== null) {
                log.warn({ id: culprit.requestId, model: name, silent }, 'a job killed its engine')
                fail(culprit, crashed(silent ? runTimeoutMs : null))
              }
            } else {
              handBack([...seat.handed.values()])
              seat.handed.clear()
            }
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
    if (unanswered.size === 0) onIdle?.()
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
        job.resolve({ output, variant: seat.variant, preprocessMs, inferenceMs, batchSize })
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

  async function shutDown(): Promise<void> {
    closedBy = new HandedBackError()
    handBack(board.clear())
    ready.reject(closedBy)
    if (unanswered.size > 0) {
      await new Promise<void>((resolve) => {
        onIdle = resolve
      })
    }
    await stopEngines()
    handBack([...unanswered])
  }

  return {
    ready: ready.promise,
    async run({ alone = false, signal, onTokens, id: requestId, ...request }) {
      if (closedBy !== null) throw closedBy
      signal?.throwIfAborted()
      const { promise, resolve, reject } = createDeferred<InferenceResult>()
      runs += 1
      const job = { id: String(runs), ...request, stream: onTokens !== undefined }
      const entered: PoolJob = { job, requestId, onTokens, resolve, reject, settled: false, suspect: alone, deaths: 0 }
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
      closed ??= shutDown()
      const timer = setTimeout(() => onIdle?.(), deadlineMs)
      await closed
      clearTimeout(timer)
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
