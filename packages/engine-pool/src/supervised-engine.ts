import { VisionQueueError } from '@vision-queue/protocol'

import { forkEngine, type EngineProcess, type ForkOptions } from './engine-fork.ts'
import { fromEngineSchema, type EngineText, type FromEngine, type ToEngine } from '@vision-queue/engine/messages'
import { readResidentBytes } from './resident-memory.ts'
import type { RuntimeLog } from './runtime-log.ts'

/**
 * One engine that is kept alive: a process that is started again when it dies, after a pause that
 * doubles with each death in a row. An engine that answered a job, or stayed up for a while, starts
 * over with the shortest pause, so that a run of poisonous jobs does not slow the good ones down.
 *
 * loading --ready--> up --death--> paused --> loading ... until stop()
 *                    up --replace()--> replaced --gone--> loading
 */
export interface SupervisedEngine {
  readonly up: boolean
  /** Undefined while there is no process. */
  readonly pid: number | undefined
  /** How often it has been started again. */
  readonly restarts: number
  /** CPU time of all its processes so far, as last reported. */
  readonly cpuSeconds: number
  send: (message: ToEngine) => void
  /** Whether it owes an answer: if it then says nothing for `silenceTimeoutMs`, or holds more than `memoryLimitBytes`, it is killed. */
  expectWork: (owes: boolean) => void
  /** Ends its process and starts another at once; to be called while it owes nothing. */
  replace: () => void
  /** Kills it for good; resolves when the process is gone. */
  stop: () => Promise<void>
}

/** Null: it died by itself, or by another's hand. */
export interface EngineDeath {
  killedFor: 'silence' | 'memory' | null
}

export interface EngineEvents {
  onReady(message: Extract<FromEngine, { kind: 'ready' }>): void
  onLaunch: (ids: string[]) => void
  onTokens: (tokens: EngineText[]) => void
  onAnswers(message: Extract<FromEngine, { kind: 'answers' }>): void
  /** It died after it had been ready; `killedFor` says why it was killed from here. */
  onDeath(death: EngineDeath): void
  onStartFailure(failure: StartFailure): void
}

/** An engine that ended before it was ready. */
export interface StartFailure {
  error: VisionQueueError
  /** Failures in a row. */
  tries: number
  /** The files are at fault: the same files can't be loaded, however often it is tried. */
  final: boolean
  /** When it is started again, in milliseconds since 1970. */
  retryAt: number
}

const shortestPauseMs = 100
const steadyAfterMs = 30_000
const memoryCheckMs = 200

// oxlint-disable-next-line max-lines-per-function -- until the redesign of this room lands
export function superviseEngine({
  fork,
  silenceTimeoutMs,
  loadTimeoutMs,
  longestPauseMs,
  memoryLimitBytes,
  log,
  events,
}: {
  fork: ForkOptions
  silenceTimeoutMs: number
  /** How long it may take to load its model. */
  loadTimeoutMs: number
  /** The longest pause before it is started again. */
  longestPauseMs: number
  /** Of resident memory, while it owes answers; Infinity: none. Not watched where the system has no /proc. */
  memoryLimitBytes: () => number
  log: RuntimeLog
  events: EngineEvents
}): SupervisedEngine {
  let engine: EngineProcess | null = null
  let state: 'loading' | 'up' | 'paused' | 'replaced' | 'stopped' = 'loading'
  let upSince = 0
  let deathsInARow = 0
  let failedStarts = 0
  let restarts = 0
  let cpuSecondsBefore = 0
  let cpuSecondsNow = 0
  let killedFor: EngineDeath['killedFor'] = null
  let refusal: { error: VisionQueueError; passing: boolean } | null = null
  let timer: NodeJS.Timeout | undefined
  let memoryTimer: NodeJS.Timeout | undefined

  function start(): void {
    state = 'loading'
    killedFor = null
    refusal = null
    engine = forkEngine(fork, { onMessage, onGone })
    killAfter(loadTimeoutMs)
  }

  function killAfter(silenceMs: number): void {
    clearTimeout(timer)
    timer = setTimeout(() => {
      killedFor = 'silence'
      engine?.kill()
    }, silenceMs)
  }

  /** The engine can't look itself while a run holds its thread. */
  function watchMemory(): void {
    clearInterval(memoryTimer)
    memoryTimer = setInterval(() => {
      void checkMemory(engine)
    }, memoryCheckMs)
  }

  async function checkMemory(watched: EngineProcess | null): Promise<void> {
    const { pid } = watched ?? {}
    const bytes = pid === undefined ? null : await readResidentBytes(pid)
    if (bytes === null || bytes <= memoryLimitBytes() || engine !== watched || state !== 'up') return
    log.warn({ pid, residentBytes: bytes }, 'an engine takes too much memory in a run; killed')
    killedFor = 'memory'
    watched?.kill()
  }

  function endWatches(): void {
    clearTimeout(timer)
    clearInterval(memoryTimer)
    timer = undefined
  }

  function onMessage(raw: unknown): void {
    if (state === 'stopped' || state === 'replaced') return
    const parsed = fromEngineSchema.safeParse(raw)
    if (!parsed.success) {
      log.error({ pid: engine?.pid, issues: parsed.error.issues.length }, 'an engine speaks another language; killed')
      engine?.kill()
      return
    }
    const message = parsed.data
    if (timer !== undefined && state === 'up') timer.refresh()
    switch (message.kind) {
      case 'ready':
        state = 'up'
        upSince = performance.now()
        failedStarts = 0
        clearTimeout(timer)
        timer = undefined
        engine?.giveWay()
        events.onReady(message)
        break
      case 'unavailable':
        refusal = {
          error: new VisionQueueError('model_unavailable', message.detail, { cause: message.cause ?? undefined }),
          passing: message.passing,
        }
        break
      case 'launch':
        events.onLaunch(message.ids)
        break
      case 'tokens':
        events.onTokens(message.tokens)
        break
      case 'answers':
        cpuSecondsNow = message.cpuSeconds
        if (message.answers.some((answer) => answer.kind === 'value')) deathsInARow = 0
        events.onAnswers(message)
        break
      default:
        message satisfies never
    }
  }

  function onGone(exit: string, lastWords: string): void {
    endWatches()
    engine = null
    cpuSecondsBefore += cpuSecondsNow
    cpuSecondsNow = 0
    if (state === 'stopped') return
    if (state === 'replaced') {
      restarts += 1
      start()
      return
    }
    const wasUp = state === 'up'
    deathsInARow = wasUp && performance.now() - upSince > steadyAfterMs ? 1 : deathsInARow + 1
    const pauseMs = Math.min(longestPauseMs, shortestPauseMs * 2 ** (deathsInARow - 1))
    log.warn({ exit, lastWords, wasUp, killedFor, pauseMs }, 'an engine died')
    state = 'paused'
    timer = setTimeout(() => {
      restarts += 1
      start()
    }, pauseMs)
    if (wasUp) {
      events.onDeath({ killedFor })
      return
    }
    failedStarts += 1
    events.onStartFailure({
      error: refusal?.error ?? new VisionQueueError('model_unavailable', howItEnded(exit)),
      tries: failedStarts,
      final: refusal?.passing === false,
      retryAt: Date.now() + pauseMs,
    })
  }

  function howItEnded(exit: string): string {
    return killedFor === 'silence'
      ? `The engine did not load its model within ${loadTimeoutMs} ms and was killed.`
      : `The engine ended while loading (${exit}).`
  }

  start()
  return {
    get up() {
      return state === 'up'
    },
    get pid() {
      return engine?.pid
    },
    get restarts() {
      return restarts
    },
    get cpuSeconds() {
      return cpuSecondsBefore + cpuSecondsNow
    },
    send(message) {
      engine?.send(message)
    },
    expectWork(owes) {
      if (state !== 'up' || owes === (timer !== undefined)) return
      if (owes) {
        killAfter(silenceTimeoutMs)
        watchMemory()
      } else {
        endWatches()
      }
    },
    replace() {
      if (state !== 'up') return
      state = 'replaced'
      endWatches()
      engine?.kill()
    },
    async stop() {
      state = 'stopped'
      endWatches()
      engine?.kill()
      await engine?.gone
    },
  }
}
