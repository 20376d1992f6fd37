import type { BatchCost, GenerationFigures, LoadProgress, VisionQueueError } from '@vision-queue/protocol'

import type { PoolJob } from './pool-job.ts'

/**
 * What a pool knows of one of its engines. Plain data: the rules read it, `reduce` changes it.
 *
 * loading --ready--> up --gone--> paused --pause-over--> loading
 * loading --gone--> paused
 * up --over its memory limit and empty--> replaced --gone--> loading
 * any --the pool closes--> stopped
 */
export interface Engine {
  /** Its place in the pool. The executor knows its process by it. */
  readonly index: number
  state: 'loading' | 'up' | 'paused' | 'replaced' | 'stopped'
  /** When it came into this state, in milliseconds by the monotonic clock. */
  since: number
  /** Of its process; undefined while there is none. */
  pid: number | undefined
  /** While it has jobs: when it last said something, or got the first of them. By the monotonic clock. */
  quietSince: number
  /** Jobs it has not answered, by the pool's id. */
  handed: Map<string, PoolJob>
  /** Ids of those that run now. */
  launched: Set<string>
  /** Which of the model's graphs it runs. */
  variant: string
  /** The most jobs of its batches; null until it has said it. */
  batchLimit: number | null
  cost: BatchCost | null
  /** Resident memory when it was ready. */
  bytesAtRest: number
  /** When it last said what it holds, or came out of idleness. By the monotonic clock. */
  memoryKnownAt: number
  /** It holds too much memory. It gets no more jobs and is replaced once it has none. */
  retiring: boolean
  /** Why the pool killed its process; null: it did not. */
  killedFor: 'silence' | 'memory' | null
  /** What its process does before it is ready, as it said last; null: it has said nothing, or is ready. */
  loading: LoadProgress | null
  /** What the process said when it could not load its model. `passing`: it may work the next time. */
  refusal: { error: VisionQueueError; passing: boolean } | null
  /** Why it could not be started the last time; null: it could, or it is being started for the first time. */
  failure: StartFailure | null
  failedStartsInARow: number
  /** An engine that answered a job or stayed up for a while starts over. */
  deathsInARow: number
  /** The pause it is in, when `paused`. */
  pauseMs: number
  /** How often it has been started again. */
  restarts: number
  /** CPU time of its process as last reported; null until that. */
  cpuSeconds: number | null
  /** CPU time of the processes it had before. */
  cpuSecondsBefore: number
  /** What its process last said of the text it generates; null: nothing, or there is no process. */
  generation: GenerationFigures | null
}

/** An engine that ended before it was ready. */
export interface StartFailure {
  error: VisionQueueError
  /** Failures in a row. */
  tries: number
  /** When it is started again, in milliseconds since 1970. */
  retryAt: number
}

/** An engine whose process is yet to be started. */
export function newEngine(index: number): Engine {
  return {
    index,
    state: 'loading',
    since: 0,
    pid: undefined,
    quietSince: 0,
    handed: new Map(),
    launched: new Set(),
    variant: '',
    batchLimit: null,
    cost: null,
    bytesAtRest: Infinity,
    memoryKnownAt: 0,
    retiring: false,
    killedFor: null,
    loading: null,
    refusal: null,
    failure: null,
    failedStartsInARow: 0,
    deathsInARow: 0,
    pauseMs: 0,
    restarts: 0,
    cpuSeconds: null,
    cpuSecondsBefore: 0,
    generation: null,
  }
}

/** Whether an engine may be given jobs. */
export function takesJobs({ state, retiring }: Pick<Engine, 'state' | 'retiring'>): boolean {
  return state === 'up' && !retiring
}
