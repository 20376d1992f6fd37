import { createEnginePool, type EnginePoolOptions } from '@vision-queue/engine-pool'
import { readRemoteModel } from '@vision-queue/models'
import { createRemoteEnginePool } from '@vision-queue/remote-engine'
import type { Logger } from 'pino'

import { type ConsumerSettings, toDeviceIds, toEngineEnvironment, toExecutionOptions } from '../config.ts'
import { type CoreShare, shareCores } from './core-share.ts'
import { memoryShare } from './memory-share.ts'
import type { ModelManagerOptions } from './model-manager.ts'
import { toRemoteHosts } from './remote-settings.ts'

const mb = 1024 * 1024
const longestBlobWaitMs = 5000

interface Options {
  settings: ConsumerSettings
  /** Keys for servers that run models, by the names of their variables. */
  remoteKeys: Readonly<Record<string, string>>
  /** Cores of this process. */
  cores: number
  /** The script of the engine processes, if it isn't the usual one. */
  engineEntry: string | undefined
  /** Told the jobs of each batch when it starts. */
  onLaunch: (model: string, ids: readonly string[]) => void
  log: Logger
}

/**
 * Opens engines as the settings say, with each model's share of cores and memory; of a model that a server elsewhere runs,
 * the way to that server.
 */
export function createPoolOpening({
  settings,
  remoteKeys,
  cores,
  engineEntry,
  onLaunch,
  log,
}: Options): ModelManagerOptions['openPool'] {
  const devices = settings.EXECUTION_PROVIDERS === 'cpu' ? [] : toDeviceIds(settings)
  const placed = (share: CoreShare): CoreShare =>
    settings.ENGINES === 0 && devices.length > 1 ? { ...share, engines: devices.length } : share
  const wanted = { engines: settings.ENGINES, intraOpThreads: settings.INTRA_OP_THREADS }
  if (Math.max(1, wanted.engines) * wanted.intraOpThreads > cores) {
    const used = shareCores(wanted, { cores, sharedBy: 1 })
    log.warn({ wanted, used, cores }, 'ENGINES x INTRA_OP_THREADS is more than the cores of this process: lowered')
  }
  return ({ folder, name, version }, { variant, onTrouble }, sharedBy) => {
    const model = readRemoteModel({ folder, name, version })
    if (model !== null) {
      return createRemoteEnginePool({
        model,
        hosts: toRemoteHosts(settings),
        keys: remoteKeys,
        runTimeoutMs: settings.RUN_TIMEOUT_MS,
        longestPauseMs: settings.ENGINE_RETRY_MAX_MS,
        onTrouble,
        onLaunch: (ids) => onLaunch(name, ids),
        log,
      })
    }
    const share = placed(shareCores(wanted, { cores, sharedBy }))
    return createEnginePool({
      modelFolder: folder,
      warmUpLimitMs: settings.WARM_UP_LIMIT_MS,
      modelCode: settings.MODEL_CODE === 'on',
      name,
      version,
      ...share,
      niceness: settings.ENGINE_NICENESS,
      latencyObjectiveMs: settings.LATENCY_OBJECTIVE_MS,
      memoryLimitBytes:
        settings.ENGINE_MEMORY_LIMIT_MB === 0
          ? memoryShare(share.engines * sharedBy)
          : settings.ENGINE_MEMORY_LIMIT_MB * mb,
      runTimeoutMs: settings.RUN_TIMEOUT_MS,
      maxImagePixels: settings.MAX_IMAGE_PIXELS,
      shrinkAbovePixels: settings.SHRINK_ABOVE_PIXELS,
      heavyImageBytes: settings.HEAVY_IMAGE_MB * mb,
      featureCacheBytes: settings.FEATURE_CACHE_MB * mb,
      generationCacheBytes: settings.GENERATION_CACHE_MB * mb,
      loadTimeoutMs: settings.ENGINE_LOAD_TIMEOUT_MS,
      longestPauseMs: settings.ENGINE_RETRY_MAX_MS,
      deviceIds: devices,
      env: toEngineEnvironment(settings),
      execution: { ...toExecutionOptions(settings), ...(variant === null ? {} : { variant }) },
      ...blobAccess(settings),
      onTrouble,
      onLaunch: (ids) => onLaunch(name, ids),
      ...(engineEntry === undefined ? {} : { engineEntry }),
      log,
    })
  }
}

/** How long an engine waits for an image: it says that it could not read it well before it is killed for its silence. */
export function blobWaitMs({ RUN_TIMEOUT_MS: runTimeoutMs }: Pick<ConsumerSettings, 'RUN_TIMEOUT_MS'>): number {
  return Math.min(longestBlobWaitMs, Math.ceil(runTimeoutMs / 4))
}

/** How engines come to read images themselves. */
function blobAccess(settings: ConsumerSettings): Pick<EnginePoolOptions, 'blobs' | 'env'> {
  const { ENGINE_REDIS_URL: redisUrl, NODE_EXTRA_CA_CERTS: certificates, BLOB_STORE: store } = settings
  if (redisUrl === undefined && store === 'redis') return {}
  return {
    ...(redisUrl === undefined ? {} : { blobs: { redisUrl, timeoutMs: blobWaitMs(settings) } }),
    ...(certificates === undefined
      ? {}
      : { env: { ...toEngineEnvironment(settings), NODE_EXTRA_CA_CERTS: certificates } }),
  }
}
