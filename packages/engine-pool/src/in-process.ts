import { type EngineChannel, limitImageLibrary, loadModel, startEngine } from '@vision-queue/engine/parts'
import type { EngineOptions, FromEngine, ToEngine } from '@vision-queue/engine/messages'
import { createDeferred } from '@vision-queue/process'

import type { EngineProcess, EngineProcessEvents } from './engine-process.ts'
import type { EnginePool, EnginePoolOptions } from './inference.ts'
import { newPool } from './pool.ts'
import { runPool } from './run-pool.ts'

/** The options of a pool that mean something without processes. */
export interface InProcessPoolOptions extends Pick<
  EnginePoolOptions,
  | 'modelFolder'
  | 'modelCode'
  | 'name'
  | 'version'
  | 'intraOpThreads'
  | 'longestPauseMs'
  | 'maxImagePixels'
  | 'shrinkAbovePixels'
  | 'heavyImageBytes'
  | 'featureCacheBytes'
  | 'generationCacheBytes'
  | 'latencyObjectiveMs'
  | 'execution'
  | 'blobs'
  | 'log'
  | 'onLaunch'
  | 'onTrouble'
> {
  /** Starts an engine on a channel, for tests. Default: the model in `modelFolder`. */
  runEngine?: RunEngine
}

/**
 * Resolves when the engine has loaded its model or has called `exit`, to a function that gives back what the model
 * and the engine hold. It must not reject.
 */
export type RunEngine = (line: {
  options: EngineOptions
  channel: EngineChannel
  exit: (code: number) => void
}) => Promise<() => Promise<void>>

/**
 * A pool with one engine that runs in this process, for tests and debugging: breakpoints, stack traces and profiles
 * reach from the caller into the model. It has the interface of createEnginePool and the same rules.
 *
 * What needs a process of its own it does not have: a crash ends this process, a run blocks its event loop, a run that
 * takes too long or too much memory is not ended, and `pids` is empty. `cpuSeconds` counts all of this process. The
 * limits that engines set to the image library (sharp) hold for this whole process from then on.
 */
export function createInProcessEnginePool(options: InProcessPoolOptions): EnginePool {
  const { name, version, longestPauseMs = 10_000, maxImagePixels = 50_000_000, runEngine = runModel } = options
  const {
    modelFolder: folder,
    modelCode,
    intraOpThreads,
    shrinkAbovePixels,
    heavyImageBytes,
    featureCacheBytes,
    generationCacheBytes,
    latencyObjectiveMs,
  } = options
  const limits = { runTimeoutMs: Infinity, loadTimeoutMs: Infinity, memoryLimitBytes: 0 }
  const pool = newPool({ name, version, engines: 1, deviceIds: [], longestPauseMs, ...limits }, options.execution)
  const images = { maxImagePixels, shrinkAbovePixels, heavyImageBytes, featureCacheBytes, generationCacheBytes }
  const fixed = { name, version, folder, modelCode, intraOpThreads, ...images, latencyObjectiveMs }
  return runPool({
    ...options,
    pool,
    engineOptions: () => ({ ...fixed, execution: pool.execution }),
    launch: (engineOptions, events) => launchHere(engineOptions, runEngine, events),
  })
}

async function runModel({ options, channel, exit }: Parameters<RunEngine>[0]): Promise<() => Promise<void>> {
  limitImageLibrary()
  let close = async (): Promise<void> => {}
  const closeEngine = await startEngine({
    channel,
    options,
    exit,
    async loadModel(onStep) {
      const model = await loadModel(options, onStep)
      close = model.close
      return model
    },
  })
  return async () => {
    await closeEngine()
    await close()
  }
}

/** Messages go both ways as between processes: in order, and not before the sender's turn has ended. */
function launchHere(options: EngineOptions, runEngine: RunEngine, events: EngineProcessEvents): EngineProcess {
  const unanswered = new Set<string>()
  const answered = createDeferred<undefined>()
  const gone = createDeferred<undefined>()
  let listener: (message: unknown) => void = () => {}
  let ending = false

  const channel: EngineChannel = {
    send: async (message) =>
      new Promise((resolve) => {
        setImmediate(() => {
          hear(message)
          resolve()
        })
      }),
    onMessage(newListener) {
      listener = newListener
    },
    onDisconnect() {},
  }

  function hear(message: FromEngine): void {
    if (message.kind === 'answers') for (const { id } of message.answers) unanswered.delete(id)
    if (!ending) events.onMessage(message)
    else if (unanswered.size === 0) answered.resolve(undefined)
  }

  function send(message: ToEngine): void {
    if (ending) return
    if (message.kind === 'jobs') for (const { id } of message.jobs) unanswered.add(id)
    setImmediate(() => {
      listener(message)
    })
  }

  /** Nothing can be killed here: the engine drops what it has not launched, and the model is let go after its run. */
  async function end(exit: string): Promise<void> {
    if (ending) return
    for (const id of unanswered) send({ kind: 'cancel', id })
    send({ kind: 'drain' })
    ending = true
    if (unanswered.size === 0) answered.resolve(undefined)
    const close = await started
    await answered.promise
    await close()
    events.onGone(exit, '')
    gone.resolve(undefined)
  }

  const started = runEngine({ options, channel, exit: (code) => void end(`exit code ${code}`) })
  return {
    pid: undefined,
    gone: gone.promise,
    send,
    kill: () => void end('killed'),
    giveWay() {},
  }
}
