import type { ExecutionOptions } from '@vision-queue/models'

import { forkEngine } from './engine-fork.ts'
import { engineProgram } from './engine-program.ts'
import type { EnginePool, EnginePoolOptions } from './inference.ts'
import { newPool, type Pool } from './pool.ts'
import { runPool } from './run-pool.ts'

/**
 * Starts engines in processes of their own. Jobs wait in this process, where an engine that dies can't take them along.
 *
 * Everything that happens is an event. `reduce` changes the pool's data and says what is to be done, run-pool.ts and
 * engine-host.ts do it: processes, messages, timers, answers.
 */
export function createEnginePool(options: EnginePoolOptions): EnginePool {
  const { name, version, engines, niceness = 0, memoryLimitBytes = 0, maxImagePixels = 50_000_000 } = options
  const {
    modelFolder: folder,
    modelCode,
    warmUpLimitMs,
    intraOpThreads,
    shrinkAbovePixels,
    heavyImageBytes,
    featureCacheBytes,
    generationCacheBytes,
    latencyObjectiveMs,
  } = options
  const { runTimeoutMs, loadTimeoutMs = 300_000, longestPauseMs = 10_000 } = options
  const entry = options.engineEntry ?? engineProgram('process')
  // ONNX Runtime 1.30 keeps telemetry, and leaves a log file of it behind, unless it is told not to.
  const env = { ...options.env, ORT_DISABLE_TELEMETRY: '1' }
  const pool = newPool(
    {
      name,
      version,
      engines,
      deviceIds: options.deviceIds ?? [],
      runTimeoutMs,
      loadTimeoutMs,
      longestPauseMs,
      memoryLimitBytes,
    },
    options.execution,
  )
  const images = { maxImagePixels, shrinkAbovePixels, heavyImageBytes, featureCacheBytes, generationCacheBytes }
  const fixed = { name, version, folder, modelCode, warmUpLimitMs, intraOpThreads, ...images, memoryLimitBytes }
  return runPool({
    ...options,
    pool,
    engineOptions: (index) => ({ ...fixed, latencyObjectiveMs, execution: placed(pool, index) }),
    launch: (engineOptions, events) => forkEngine({ entry, options: engineOptions, engines, niceness, env }, events),
  })
}

/** On the pool's devices in turn. */
function placed({ execution, settings: { deviceIds } }: Pool, index: number): ExecutionOptions {
  const deviceId = deviceIds[index % deviceIds.length]
  return deviceId === undefined ? execution : { ...execution, deviceId }
}
