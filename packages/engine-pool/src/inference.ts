import type { LoadProgress, ModelManifest, ModelStats, Priority } from '@vision-queue/protocol'

import type { JobSignal, RequestContext } from '@vision-queue/process'
import type { BlobSource, EngineJob, GenerationTimes } from '@vision-queue/engine/messages'
import type { ExecutionOptions } from '@vision-queue/models'
import type { TextPiece } from '@vision-queue/engine/messages'
import type { RuntimeLog } from './runtime-log.ts'
import type { TaskOutput } from '@vision-queue/engine/messages'

/** A job for a model. */
export interface InferenceRequest extends Omit<EngineJob, 'stream'> {
  /** The request that the job came with, for the log. Engines are not told. */
  context?: RequestContext | undefined
  /** How urgent it is among others that wait for a server elsewhere; engines here take jobs as they come. Default: normal. */
  priority?: Priority | undefined
  /** Run it in an engine of its own at once, as one that is suspected of killing engines. */
  alone?: boolean
  /** Drops the job if its batch isn't launched yet; in any case `run` rejects with the signal's reason. */
  signal?: JobSignal
  /**
   * Told the answer's text as it is generated, by models that do so: a piece and where it begins in
   * the whole. An `index` below what was told before begins anew from there: the engine had died.
   */
  onTokens?: ((piece: TextPiece) => void) | undefined
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
  /** When its tokens came, of an answer that was generated. */
  times?: GenerationTimes
}

/** The pool closed before the job was answered. It may be run again elsewhere: nothing is known of it. */
export class HandedBackError extends Error {
  constructor() {
    super('the engine pool closed before it answered this job')
    this.name = 'HandedBackError'
  }
}

/** The engine could not read the job's images itself; nothing is known of them. The job may be run with their bytes. */
export class ImagesUnreadError extends Error {
  constructor(options: ErrorOptions) {
    super('the engine could not read the images of this job', options)
    this.name = 'ImagesUnreadError'
  }
}

/** Why engines of a pool are missing. */
export interface EngineTrouble {
  /** A public sentence. */
  detail: string
  /** When the next one is started, in milliseconds since 1970. */
  retryAt: number
  /**
   * None of the engines could be started for some tries in a row. The pool has handed back its jobs and takes none
   * until one is ready: another consumer may have engines.
   */
  lost: boolean
}

/** Engine processes that all serve one model. */
export interface EnginePool {
  /**
   * Resolves when the first engine can take jobs, the others may still be loading. Rejects with
   * `model_unavailable` if the files can't be served; the pool is of no more use then. An engine that dies while it
   * loads is no reason: it is started again and again, see `trouble`.
   */
  readonly ready: Promise<ModelManifest>
  /**
   * Runs a job. It may be called before `ready`. Rejects with a VisionQueueError: what is wrong with
   * the input, `deadline_exceeded`, `inference_failed`, `engine_crashed`, `model_unavailable`; with
   * HandedBackError after `close`; with ImagesUnreadError where the images came as addresses; with the signal's reason.
   */
  run: (request: InferenceRequest) => Promise<InferenceResult>
  /** Jobs without an answer. */
  readonly inFlight: number
  /** Whether its engines can be given addresses of images, where there is a place to read them. Absent: they can. */
  readonly readsImages?: boolean
  /** Process ids of the engines that run, for figures by process. Engines in the caller's process have none. */
  readonly pids: number[]
  /** Engine processes there are meant to be. */
  readonly engines: number
  /** Those of them that can take jobs now. */
  readonly enginesUp: number
  /** Null where no engine failed to start the last time it was tried. */
  readonly trouble: EngineTrouble | null
  /** What the first of its engines does that loads the model; null: none does, or none has said it. */
  readonly loading: LoadProgress | null
  /** What the pool has done since it was made. */
  stats: () => ModelStats
  /** CPU time in seconds of all engine processes so far, those that died included. */
  cpuSeconds: () => number
  /**
   * Hands back what no engine has, waits at most `deadlineMs` for the rest, hands back what is left
   * then, kills the engines and waits for their end. Called again, the earlier deadline holds.
   */
  close(options: { deadlineMs: number }): Promise<void>
}

/** How many processes run which model, and how. */
export interface EnginePoolOptions {
  /** `<repository>/<name>/<version>`, from findModel. */
  modelFolder: string
  /** After so long the warm-up of an engine tries no larger batch. Default: 60,000 ms. */
  warmUpLimitMs?: number
  /** Whether code in the folder may be the model's task. Default: no. */
  modelCode?: boolean
  name: string
  version: string
  /** Processes. On a CPU one per core, with one thread each, is the fastest; per GPU one. */
  engines: number
  /** By how much the engines give way to other processes on their cores, 0 to 19. Default: 0. */
  niceness?: number
  /** Threads that share one session run. */
  intraOpThreads: number
  /** An engine that has work and says nothing for so long is killed, as if it had crashed. */
  runTimeoutMs: number
  /** An engine that has not loaded its model by then is killed and started again. Default: 300,000 ms. */
  loadTimeoutMs?: number
  /** The longest pause before an engine that died is started again; it begins at 100 ms and doubles. Default: 10,000 ms. */
  longestPauseMs?: number
  /** Images of more pixels are refused by the decoder. Default: 50 million. */
  maxImagePixels?: number
  /** JPEGs and WebPs of more pixels are shrunk while they are read. Default: 1 million. */
  shrinkAbovePixels?: number
  /** Images of which the decoder holds more at a time are decoded one after the other. Default: 128 MiB. */
  heavyImageBytes?: number
  /** The most bytes of images' features that an engine keeps for later questions about them. Default: 256 MiB. */
  featureCacheBytes?: number
  /** The most bytes of keys and values that an engine's conversations have. Default: 1 GiB. */
  generationCacheBytes?: number
  /** What a job's batch, and the one before it, may take together, which bounds batches. Default: 0, no objective. */
  latencyObjectiveMs?: number
  /**
   * Resident memory of an engine. Near it batches shrink; an engine that is over it after a batch is emptied and
   * replaced, and no job fails. Default: 0, no limit.
   */
  memoryLimitBytes?: number
  /** GPUs as the provider counts them; engines are placed on them in turn. Default: the one that `execution` names. */
  deviceIds?: readonly number[]
  /** Execution providers, variant, device. Default: the CPU, and the variant it is made for. */
  execution?: Partial<ExecutionOptions>
  /** Environment of the engines; nothing else of this process's is passed on. Default: empty. */
  env?: Record<string, string>
  /** Program of the engines, for tests. */
  engineEntry?: string
  /** Where the engines read images that come as addresses. Default: nowhere, all come as bytes. */
  blobs?: BlobSource | undefined
  log: RuntimeLog
  /** Told the ids of each batch when it starts. */
  onLaunch?: (ids: readonly string[]) => void
  /** Told when `trouble` has changed. */
  onTrouble?: () => void
}
