import { openBlobStore } from '@vision-queue/blobs'
import { parseBlobStore, toRetention, int8Saturates } from '@vision-queue/process'
import { VisionQueueError } from '@vision-queue/protocol'
import { availableCores } from '@vision-queue/process'
import { probeProvider } from '@vision-queue/engine-pool'
import {
  agreeOnVariant,
  type Announcer,
  createModelForgetting,
  createPoisonStore,
  createResultStore,
  createTextLog,
  openCancellations,
  openTextPublisher,
  readModelOrders,
  startAnnouncer,
  type TextPublisher,
} from '@vision-queue/queue/worker'
import { assertNoEviction, greetRedis, openDurableConnection, type RedisClient } from '@vision-queue/redis'
import { runsHere } from '@vision-queue/models'
import { type QueuedJob } from '@vision-queue/queue'
import { nanoid } from 'nanoid'
import type { Logger } from 'pino'

import { type ConsumerSettings, toEngineEnvironment } from './config.ts'
import type { ConsumerView } from './observe/consumer-health.ts'
import { createJobWork } from './observe/job-work.ts'
import { type JobTracing, openJobTracing } from './observe/trace-jobs.ts'
import { nvidiaEnvironment } from './observe/observe-settings.ts'
import { startGpuGauge } from './observe/gpu-gauge.ts'
import { type HealthServer, openHealthServer } from './observe/health-server.ts'
import { createFleetVariant } from './fleet/fleet-variant.ts'
import {
  type JobHandling,
  type ModelManager,
  type ModelManagerOptions,
  startModelManager,
} from './fleet/model-manager.ts'
import { toLoadingTurns } from './fleet/loading-settings.ts'
import { assertModelsThere } from './fleet/models-there.ts'
import { parseModelPolicy } from './fleet/model-policy.ts'
import { createProcessGauge, type ProcessGauge } from './process-gauge.ts'
import type { Answer } from './jobs/run-job.ts'
import { createSharedAnswers } from './jobs/shared-answers.ts'
import { blobWaitMs, createPoolOpening } from './fleet/open-pool.ts'
import { createSourceOpening } from './jobs/open-source.ts'

export interface Consumer {
  id: string
  /** Null where CONSUMER_PORT is not set. */
  healthPort: number | null
  /**
   * Takes no more jobs, lets running batches finish, hands the rest back, and stops the engines.
   * Resolves within `SHUTDOWN_TIMEOUT_MS` and a little: what is not done by then, or can't be said
   * to Redis, is another consumer's when its lock lapses.
   */
  close(): Promise<void>
}

export interface ConsumerOptions {
  settings: ConsumerSettings
  log: Logger
  /** Keys for servers that run models, by the names of their variables (readRemoteKeys). Default: none. */
  remoteKeys?: Readonly<Record<string, string>>
  /** The script of the engine processes, where it isn't the usual one. */
  engineEntry?: string
  /** The connection by which this process adds jobs, where it is an API, too: it takes them by the same calls. */
  addsBy?: RedisClient
}

/** How long Redis may take to be reached before the log says that it is waited for. */
const firstLookMs = 5000

/** Longer than it takes an API to hear that a version is on its way out, see its MODELS_REFRESH_MS. */
const lingerMs = 5000

/**
 * Starts a consumer; resolves once it is announced. Its models load after that, each as it can; where
 * none can be loaded it says so in its announcement and waits for better folders. Its port (CONSUMER_PORT) answers from
 * the beginning, also while Redis is awaited. Rejects where nothing could ever be
 * served: REQUIRE_PROVIDER can't be used here, none of MODELS is there, Redis asks for another password.
 */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { settings, log } = options
  const { MODEL_REPOSITORY: repository, MODELS: models } = settings
  await assertModelsThere(repository, models)
  let opened: Opened | null = null
  let closing = false
  const health = await openHealth(settings, log, () => ({
    announcedAt: opened?.announcer.announcedAt ?? null,
    models: opened?.manager.describe().models ?? [],
    closing,
  }))
  try {
    await greetRedis(settings.REDIS_URL, firstLookMs, log)
    opened = await open(options)
  } catch (error) {
    await health?.close()
    throw error
  }
  const { id, manager, announcer, release } = opened
  return {
    id,
    healthPort: health?.port ?? null,
    async close() {
      closing = true
      const deadlineMs = settings.SHUTDOWN_TIMEOUT_MS
      const done = Promise.all([manager.close(deadlineMs), announcer.close()])
      const inTime = await Promise.race([done.then(() => true), sleep(deadlineMs + 1000).then(() => false)])
      if (!inTime) {
        log.warn({ deadlineMs }, 'Not everything was finished or handed back in time')
        await manager.abandon()
      }
      await release()
      await health?.close()
    },
  }
}

/** Null where CONSUMER_PORT is not set. */
async function openHealth(
  { CONSUMER_PORT: port, CONSUMER_HOST: host, METRICS_TOKEN: metricsToken, HEARTBEAT_MS }: ConsumerSettings,
  log: Logger,
  read: () => ConsumerView,
): Promise<HealthServer | null> {
  if (port === undefined) return null
  return await openHealthServer({ host, port, metricsToken, lifetimeMs: 3 * HEARTBEAT_MS, read, log })
}

interface Opened {
  id: string
  manager: ModelManager
  announcer: Announcer
  /** Lets go of what is left once both are closed. */
  release: () => Promise<void>
}

async function open({ settings, log, remoteKeys, engineEntry, addsBy }: ConsumerOptions): Promise<Opened> {
  const required = settings.REQUIRE_PROVIDER
  const refusal = required === null ? null : await probeProvider(required, toEngineEnvironment(settings))
  if (refusal !== null) throw new VisionQueueError('model_unavailable', `REQUIRE_PROVIDER=${required}: ${refusal}`)
  const said = { version: 2 as const, id: `con_${nanoid()}`, startedAt: Date.now(), queueParts: settings.QUEUE_PARTS }
  const redis = openDurableConnection({ redisUrl: settings.REDIS_URL, log, name: 'consumer' })
  await assertNoEviction(redis)
  const store = await openBlobStore(parseBlobStore(settings.BLOB_STORE))
  const retention = toRetention(settings)
  const results = createResultStore({ redis, retention, answerTtlMs: settings.ANSWER_TTL_MS })
  const textLog = createTextLog(redis)
  const openText = ({ id: jobId, context }: QueuedJob): TextPublisher =>
    openTextPublisher({ textLog, id: jobId, context, log, maxBytes: settings.STREAMED_TEXT_MAX_BYTES })
  const cancellations = openCancellations({ redisUrl: settings.REDIS_URL, log })
  const gauge = createProcessGauge()
  const gpus = startGpuGauge({ pollMs: settings.GPU_POLL_MS, env: nvidiaEnvironment(settings), log })
  const work = createJobWork()
  const traces = openJobTracing(settings)
  const openSource = createSourceOpening({
    settings,
    redis,
    addsBy,
    results,
    retention,
    openText,
    poison: createPoisonStore({ redis, ttlMs: settings.POISON_TTL_MS }),
    cancellations,
    shared: settings.ANSWER_TTL_MS === 0 ? null : createSharedAnswers<Answer>(),
    enginesReadBlobs: settings.ENGINE_REDIS_URL !== undefined,
    values: store.values,
    objects: store.objects === null ? null : { isInline: store.values.isInline, waitMs: blobWaitMs(settings) },
    work,
    traces,
    log,
  })

  let renewAnnouncement = (): void => {}
  const manager = startManager({
    settings,
    remoteKeys: remoteKeys ?? {},
    engineEntry,
    log,
    redis,
    int8Saturates: await int8Saturates(),
    onLaunch: traces.launched,
    openSource: (model, pinnedTo, handling) => openSource(model, pinnedTo, notingJobs(handling, gauge)),
    onChange: () => renewAnnouncement(),
  })

  const announcer = await startAnnouncer({
    redis,
    heartbeatMs: settings.HEARTBEAT_MS,
    describe: () => ({
      ...said,
      heartbeatAt: Date.now(),
      ...work.announced(manager.describe()),
      gpus: gpus.read(),
      process: { ...gauge.read(), engineCpuSeconds: manager.engineCpuSeconds() },
    }),
    log,
  })
  renewAnnouncement = announcer.renew
  // What became ready while the first announcement was under way.
  announcer.renew()

  const release = async (): Promise<void> => {
    gauge.close()
    gpus.close()
    cancellations.close()
    store.close()
    redis.disconnect()
    await traces.close()
  }
  return { id: said.id, manager, announcer, release }
}

interface ManagerOptions extends Pick<ConsumerOptions, 'settings' | 'log'> {
  remoteKeys: Readonly<Record<string, string>>
  engineEntry: string | undefined
  redis: RedisClient
  int8Saturates: boolean
  onLaunch: JobTracing['launched']
  openSource: ModelManagerOptions['openSource']
  onChange: () => void
}

/** The models of this consumer, by its settings and what the fleet has decided in Redis. */
function startManager({
  settings,
  remoteKeys,
  redis,
  engineEntry,
  onLaunch,
  log,
  ...options
}: ManagerOptions): ModelManager {
  const forgetting = createModelForgetting(redis)
  return startModelManager({
    repository: settings.MODEL_REPOSITORY,
    policy: parseModelPolicy(settings.MODELS),
    pollMs: settings.MODEL_POLL_MS,
    readOrders: async () => readModelOrders(redis),
    openPool: createPoolOpening({ settings, remoteKeys, cores: availableCores(), engineEntry, onLaunch, log }),
    runsHere,
    decideVariant: createFleetVariant({
      agree: async (model, own) => agreeOnVariant(redis, model, own),
      int8Saturates: options.int8Saturates,
      log,
    }),
    openSource: options.openSource,
    forget: async (name, version) => forgetting.forget(name, version),
    countPinned: async (name, version) => forgetting.countPinned(name, version),
    countWaiting: async (name) => forgetting.countWaiting(name),
    loads: toLoadingTurns(settings, availableCores()),
    lingerMs,
    drainMs: 2 * settings.RUN_TIMEOUT_MS,
    onChange: options.onChange,
    log,
  })
}

/** Tells the gauge of every job that is about to run. */
function notingJobs(handling: JobHandling, gauge: ProcessGauge): JobHandling {
  return {
    ...handling,
    choosePool(job) {
      gauge.noteJob()
      return handling.choosePool(job)
    },
  }
}

async function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref()
  })
}
