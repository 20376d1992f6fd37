import type { BatchCost, ModelManifest } from '@vision-queue/protocol'

import type { ForkOptions } from './engine-fork.ts'
import type { EngineText, FromEngine } from '@vision-queue/engine/messages'
import type { Seat } from './job-board.ts'
import type { PoolJob } from './pool-jobs.ts'
import type { RuntimeLog } from './runtime-log.ts'
import { type EngineDeath, type StartFailure, superviseEngine, type SupervisedEngine } from './supervised-engine.ts'

type Answers = Extract<FromEngine, { kind: 'answers' }>

/** An engine of a pool: its process, the jobs it has, and what it last said of itself. */
export interface EngineSeat extends Seat<PoolJob> {
  readonly engine: SupervisedEngine
  /** Which graph this engine runs. */
  readonly variant: string
  /** The most jobs of its batches; null before it has said it. */
  readonly batchLimit: number | null
  readonly cost: BatchCost | null
  /** True where it is given no more jobs, as it is to be replaced. */
  readonly retiring: boolean
  /** Why it could not be started the last time; null: it could, or is being started for the first time. */
  readonly failure: StartFailure | null
}

export interface SeatEvents {
  onReady: (seat: EngineSeat, manifest: ModelManifest) => void
  /** The seat's jobs that run now. */
  onLaunch: (jobs: readonly PoolJob[]) => void
  onTokens: (seat: EngineSeat, tokens: readonly EngineText[]) => void
  /** Told before the seat takes note of it. `cpuMs`: CPU time since its message before; null for its first. */
  onAnswers: (seat: EngineSeat, message: Answers, cpuMs: number | null) => void
  onDeath: (seat: EngineSeat, death: EngineDeath) => void
  onStartFailure: (seat: EngineSeat, failure: StartFailure) => void
  /** Something changed: jobs may be handed out, and callers may be done. */
  onChange: () => void
}

export interface SeatOptions {
  fork: ForkOptions
  silenceTimeoutMs: number
  loadTimeoutMs: number
  longestPauseMs: number
  /** An engine that holds more after a batch is emptied and replaced, one that holds far more in a run is killed; 0: never. */
  memoryLimitBytes: number
  /** Whether it may be replaced just now. */
  mayRetire: () => boolean
  log: RuntimeLog
  events: SeatEvents
}

/** Where the model alone takes nearly all that is allowed, a new process would not help. */
const mostAtRest = 0.9
/** In a run, where it can't be asked to stop: of the limit, and of what it held when it was ready. */
const mostInRun = { ofLimit: 1.25, ofRest: 2 }

/**
 * Starts an engine. Over its memory limit it is retired without failing a job: it is handed no more, answers
 * what it has, and a new process takes its place.
 */
// oxlint-disable-next-line max-lines-per-function -- until the redesign of this room lands
export function openEngineSeat({
  fork,
  silenceTimeoutMs,
  loadTimeoutMs,
  longestPauseMs,
  memoryLimitBytes,
  mayRetire,
  log,
  events,
}: SeatOptions): EngineSeat {
  const launched = new Set<string>()
  const handed = new Map<string, PoolJob>()
  let variant = ''
  let batchLimit: number | null = null
  let cost: BatchCost | null = null
  let bytesAtRest = Infinity
  let lastCpuSeconds: number | null = null
  let retiring = false
  let failure: StartFailure | null = null
  const model = { model: fork.options.name, version: fork.options.version }

  function noteLaunch(ids: readonly string[]): void {
    for (const id of ids) launched.add(id)
    events.onLaunch(ids.flatMap((id) => handed.get(id) ?? []))
  }

  /** Replaces the engine once it is over its limit and has answered all it had. */
  function watchMemory(residentBytes: number): void {
    const over = memoryLimitBytes > 0 && residentBytes > memoryLimitBytes
    if (over && !retiring && bytesAtRest < mostAtRest * memoryLimitBytes && mayRetire()) {
      retiring = true
      log.warn(
        { ...model, pid: engine.pid, residentBytes, memoryLimitBytes },
        'an engine holds too much memory; it is replaced',
      )
      engine.send({ kind: 'drain' })
    }
    if (retiring && handed.size === 0) engine.replace()
  }

  const engine = superviseEngine({
    fork,
    silenceTimeoutMs,
    loadTimeoutMs,
    longestPauseMs,
    memoryLimitBytes: () =>
      memoryLimitBytes === 0
        ? Infinity
        : Math.max(mostInRun.ofLimit * memoryLimitBytes, mostInRun.ofRest * bytesAtRest),
    log,
    events: {
      onReady({ manifest, residentBytes, cost: itsCost }) {
        variant = manifest.variant
        batchLimit = null
        cost = itsCost
        bytesAtRest = residentBytes
        lastCpuSeconds = null
        retiring = false
        failure = null
        if (memoryLimitBytes > 0 && residentBytes >= mostAtRest * memoryLimitBytes) {
          log.warn({ ...model, residentBytes, memoryLimitBytes }, 'the model alone takes the memory an engine may have')
        }
        events.onReady(seat, manifest)
        events.onChange()
      },
      onLaunch: noteLaunch,
      onTokens(tokens) {
        events.onTokens(seat, tokens)
      },
      onAnswers(message) {
        const { cpuSeconds } = message
        const cpuMs = lastCpuSeconds === null ? null : (cpuSeconds - lastCpuSeconds) * 1000
        lastCpuSeconds = cpuSeconds
        events.onAnswers(seat, message, cpuMs)
        batchLimit = message.batchLimit
        cost = message.cost
        if (message.launched.length > 0) noteLaunch(message.launched)
        watchMemory(message.residentBytes)
        events.onChange()
      },
      onDeath(death) {
        retiring = false
        events.onDeath(seat, death)
        events.onChange()
      },
      onStartFailure(newest) {
        failure = newest
        events.onStartFailure(seat, newest)
        events.onChange()
      },
    },
  })
  const seat: EngineSeat = {
    handed,
    launched,
    engine,
    get variant() {
      return variant
    },
    get batchLimit() {
      return batchLimit
    },
    get cost() {
      return cost
    },
    get retiring() {
      return retiring
    },
    get failure() {
      return failure
    },
    get ready() {
      return engine.up && !retiring
    },
  }
  return seat
}
