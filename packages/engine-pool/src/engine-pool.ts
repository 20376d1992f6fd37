import { availableParallelism } from 'node:os'

import { type BatchCost, VisionQueueError, type ModelManifest } from '@vision-queue/protocol'

import { createDeferred, jobFields } from '@vision-queue/process'
import { openEngineSeat, type EngineSeat, type SeatEvents } from './engine-seat.ts'
import { describeTrouble } from './engine-trouble.ts'
import { executionOptionsSchema } from '@vision-queue/models'
import { HandedBackError, type EnginePool, type EnginePoolOptions } from './inference.ts'
import { createJobBoard } from './job-board.ts'
import { createCapacityMeter } from './pool-capacity.ts'
import { createPoolJobs, type PoolJob } from './pool-jobs.ts'
import { createPoolStats } from './pool-stats.ts'
import type { EngineDeath } from './supervised-engine.ts'
import { engineProgram } from './engine-program.ts'

/**
 * Starts the engines. Jobs wait here, where a dying engine can't take them along, and each engine has
 * at most two batches' worth and a job: one that runs, one that is prepared, and something to decode meanwhile.
 */
// oxlint-disable-next-line max-lines-per-function -- until the redesign of this room lands
export function createEnginePool(options: EnginePoolOptions): EnginePool {
  const { name, version, engines, runTimeoutMs, log, env = {}, memoryLimitBytes = 0 } = options
  const entry = options.engineEntry ?? engineProgram('process')
  let execution = executionOptionsSchema.parse(options.execution ?? {})
  const board = createJobBoard<PoolJob>()
  const stats = createPoolStats()
  const jobs = createPoolJobs(stats)
  const meter = createCapacityMeter({ cores: availableParallelism() })
  let manifest: ModelManifest | null = null
  /** Why no job is taken any more. */
  let closedBy: Error | null = null
  let closed: Promise<void> | null = null
  let onIdle: (() => void) | null = null

  const ready = createDeferred<ModelManifest>()
  // A caller who only ever calls run() learns of it there.
  ready.promise.catch(() => {})

  const events: SeatEvents = {
    onReady(seat, itsManifest) {
      const { variant, provider, refusedProviders = [] } = itsManifest
      log.info({ pid: seat.engine.pid, model: name, version, variant, provider }, 'an engine is ready')
      // All engines are refused alike: said once.
      if (manifest === null) {
        for (const refusal of refusedProviders) {
          log.warn({ model: name, version, ...refusal }, 'an execution provider can not be used')
        }
        // One that falls back later, such as for a file that is being replaced, would give other answers.
        const graph = itsManifest.choice?.graph
        if (graph !== undefined) execution = executionOptionsSchema.parse({ ...execution, variant: graph })
      }
      manifest ??= itsManifest
      options.onTrouble?.()
      if (closedBy === null) while (seats.length < engines) seats.push(openSeat())
      ready.resolve(manifest)
    },
    onLaunch(launched) {
      options.onLaunch?.(launched.map(({ callerId }) => callerId))
    },
    onTokens(seat, tokens) {
      for (const { id, ...piece } of tokens) {
        const job = seat.handed.get(id)
        if (job?.settled === false) job.onTokens?.(piece)
      }
    },
    onAnswers(seat, { answers, runs, launches, batchLimit }, cpuMs) {
      meter.observe({
        answered: answers.length,
        batches: runs.length,
        cpuMs,
        busy: seats.length === engines && seats.every(hasPlenty) && seat.handed.size > answers.length,
      })
      for (const answer of answers) {
        const job = seat.handed.get(answer.id)
        seat.handed.delete(answer.id)
        seat.launched.delete(answer.id)
        if (job !== undefined) jobs.answer(job, answer, seat.variant)
      }
      stats.countRuns(runs)
      stats.countLaunches(launches)
      if (batchLimit < (seat.batchLimit ?? manifest?.maxBatchSize ?? batchLimit)) {
        log.warn({ model: name, version, batchLimit }, 'out of memory; batches are smaller now')
      }
    },
    onDeath(seat, { killedFor }) {
      if (closedBy !== null) {
        jobs.handBack(seat.handed.values())
        seat.handed.clear()
        return
      }
      const culprit = board.takeBack(seat)
      if (culprit === null) return
      log.warn(
        { ...jobFields({ id: culprit.callerId, context: culprit.context }), model: name, killedFor },
        'a job killed its engine',
      )
      jobs.fail(culprit, crashed(killedFor, runTimeoutMs))
    },
    onStartFailure(seat, { error, tries, final, retryAt }) {
      board.endQuarantine(seat)
      if (manifest === null && final) return giveUp(error)
      const retryInMs = retryAt - Date.now()
      log.error({ err: error, model: name, version, tries, retryInMs }, 'an engine can not load its model')
      if (manifest !== null && describeTrouble(seats)?.lost === true) {
        board.clear()
        jobs.handBack(jobs.unanswered)
      }
      options.onTrouble?.()
    },
    onChange: dispatch,
  }
  // The first engine chooses the variant, see onReady; the others come after it.
  const seats: EngineSeat[] = []
  seats.push(openSeat())

  function openSeat(): EngineSeat {
    const { modelFolder: folder, intraOpThreads, maxImagePixels = 50_000_000 } = options
    const { shrinkAbovePixels, heavyImageBytes } = options
    const images = { maxImagePixels, shrinkAbovePixels, heavyImageBytes }
    const fixed = { name, version, folder, intraOpThreads, ...images, memoryLimitBytes }
    return openEngineSeat({
      fork: {
        entry,
        // Looked at anew for each process, for the variant may have been chosen by then.
        get options() {
          return { ...fixed, latencyObjectiveMs: options.latencyObjectiveMs, execution }
        },
        engines,
        niceness: options.niceness ?? 0,
        // ONNX Runtime 1.30 keeps telemetry, and leaves a log file of it behind, unless it is told not to.
        env: { ...env, ORT_DISABLE_TELEMETRY: '1' },
      },
      silenceTimeoutMs: runTimeoutMs,
      loadTimeoutMs: options.loadTimeoutMs ?? 300_000,
      longestPauseMs: options.longestPauseMs ?? 10_000,
      memoryLimitBytes,
      // One at a time, so that the others go on.
      mayRetire: () => closedBy === null && seats.length === engines && seats.every((seat) => seat.ready),
      log,
      events,
    })
  }

  /** Whether the engine has at least half a batch that is worth its latency, so that it never waits for work. */
  function hasPlenty({ ready: up, handed, cost }: EngineSeat): boolean {
    return up && handed.size >= Math.ceil((cost?.batchSize ?? manifest?.maxBatchSize ?? 1) / 2)
  }

  function dispatch(): void {
    if (closedBy === null && manifest !== null) {
      // The job on top: while a run holds the engine's thread nothing can be fetched.
      for (const [seat, given] of board.assign(seats, 2 * manifest.maxBatchSize + 1)) {
        const engine = seats.find((candidate) => candidate === seat)?.engine
        engine?.send({ kind: 'jobs', jobs: given.map(({ job }) => job) })
      }
    }
    for (const { engine, handed } of seats) engine.expectWork(handed.size > 0)
    if (jobs.unanswered.size === 0) onIdle?.()
  }

  /** The model can't be served: everyone who waits is told why. */
  function giveUp(error: VisionQueueError): void {
    if (closedBy !== null) return
    closedBy = error
    log.error({ err: error, model: name, version }, 'the model can not be served')
    ready.reject(error)
    jobs.handBack(jobs.unanswered, error)
    closed = stopEngines()
  }

  async function stopEngines(): Promise<void> {
    await Promise.all(seats.map(async ({ engine }) => engine.stop()))
  }

  async function shutDown(): Promise<void> {
    closedBy = new HandedBackError()
    jobs.handBack(board.clear())
    ready.reject(closedBy)
    if (jobs.unanswered.size > 0) {
      for (const { engine } of seats) if (engine.up) engine.send({ kind: 'drain' })
      await new Promise<void>((resolve) => {
        onIdle = resolve
      })
    }
    await stopEngines()
    jobs.handBack(jobs.unanswered)
  }

  return {
    ready: ready.promise,
    async run({ signal, ...request }) {
      if (closedBy !== null) throw closedBy
      signal?.throwIfAborted()
      const { entered, result } = jobs.enter(request)
      const onAbort = (): void => {
        if (!jobs.cancel(entered, signal?.reason)) return
        const { id } = entered.job
        seats.find(({ handed }) => handed.has(id))?.engine.send({ kind: 'cancel', id })
        dispatch()
      }
      signal?.addEventListener('abort', onAbort)
      board.add(entered)
      dispatch()
      try {
        return await result
      } finally {
        signal?.removeEventListener('abort', onAbort)
      }
    },
    engines,
    get enginesUp() {
      return seats.filter(({ engine }) => engine.up).length
    },
    get trouble() {
      return describeTrouble(seats)
    },
    get inFlight() {
      return jobs.unanswered.size
    },
    get pids() {
      return seats.flatMap(({ engine: { pid } }) => (pid === undefined ? [] : [pid]))
    },
    stats() {
      const cost = meanCost(seats.flatMap((seat) => seat.cost ?? []))
      return {
        ...stats.figures(),
        engineRestarts: seats.reduce((sum, { engine }) => sum + engine.restarts, 0),
        cost,
        capacity: meter.capacity({ cost, engines }),
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

/** Of engines on the same machine, which differ by noise alone. */
function meanCost(costs: readonly BatchCost[]): BatchCost | null {
  if (costs.length === 0) return null
  const mean = (key: keyof BatchCost): number => costs.reduce((sum, cost) => sum + cost[key], 0) / costs.length
  const [fixedMs, perItemMs, p99OverMs] = [mean('fixedMs'), mean('perItemMs'), mean('p99OverMs')]
  return { fixedMs, perItemMs, p99OverMs, batchSize: Math.round(mean('batchSize')) }
}

function crashed(killedFor: EngineDeath['killedFor'], runTimeoutMs: number): VisionQueueError {
  const detail = {
    died: 'The engine died while it ran this job alone.',
    silence: `The engine ran this job alone and did not finish within ${runTimeoutMs} ms.`,
    memory: 'The engine ran this job alone and took more memory than it may have.',
  }
  return new VisionQueueError('engine_crashed', detail[killedFor ?? 'died'])
}
