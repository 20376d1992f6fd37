import { toRetention, int8Saturates } from '@vision-queue/process'
import { VisionQueueError } from '@vision-queue/protocol'
import { availableCores } from '@vision-queue/process'
import { createEnginePool, probeProvider } from '@vision-queue/engine-pool'

import {
  agreeOnVariant,
  createModelForgetting,
  createPoisonStore,
  createResultStore,
  createTextLog,
  type JobSource,
  openCancellations,
  openJobSource,
  openTextPublisher,
  readModelOrders,
  startAnnouncer,
  type TextPublisher,
} from '@vision-queue/queue/worker'
import { assertNoEviction, openDurableConnection } from '@vision-queue/redis'
import { failedJob, type QueuedJob } from '@vision-queue/queue'
import { nanoid } from 'nanoid'
import type { Logger } from 'pino'

import { toExecutionOptions, type ConsumerSettings } from './config.ts'
import { shareCores } from './fleet/core-share.ts'
import { createFleetVariant } from './fleet/fleet-variant.ts'
import {
  type JobHandling,
  type ModelManager,
  type ModelManagerOptions,
  startModelManager,
} from './fleet/model-manager.ts'
import { parseModelPolicy } from './fleet/model-policy.ts'
import { memoryShare } from './fleet/memory-share.ts'
import { createProcessGauge } from './process-gauge.ts'
import { logEndedJob } from './jobs/ended-job-log.ts'
import { type Answer, createJobProcessor } from './jobs/process-job.ts'
import { createSharedAnswers } from './jobs/shared-answers.ts'
import { createSuspectGate, type SuspectGate } from './jobs/suspect-gate.ts'

export interface Consumer {
  id: string
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
  /** The script of the engine processes, where it isn't the usual one. */
  engineEntry?: string
}

/** Longer than it takes an API to hear that a version is on its way out, see its MODELS_REFRESH_MS. */
const lingerMs = 5000
const mb = 1024 * 1024

/**
 * Starts a consumer; resolves once it is announced. Its models load after that, each as it can; where
 * none can be loaded it says so in its announcement and waits for better folders. Rejects where
 * REQUIRE_PROVIDER can't be used here.
 */
// oxlint-disable-next-line max-lines-per-function -- until the redesign of this room lands
export async function startConsumer({ settings, log, engineEntry }: ConsumerOptions): Promise<Consumer> {
  const required = settings.REQUIRE_PROVIDER
  const refusal = required === null ? null : await probeProvider(required)
  if (refusal !== null) throw new VisionQueueError('model_unavailable', `REQUIRE_PROVIDER=${required}: ${refusal}`)
  const id = `con_${nanoid()}`
  const startedAt = Date.now()
  const redis = openDurableConnection({ redisUrl: settings.REDIS_URL, log, name: 'consumer' })
  await assertNoEviction(redis)
  const retention = toRetention(settings)
  const results = createResultStore({
    redis,
    retention,
    answerTtlMs: settings.ANSWER_TTL_MS,
  })
  const textLog = createTextLog(redis)
  const openText = (job: QueuedJob): TextPublisher => {
    const { id: jobId, context } = job
    return openTextPublisher({ textLog, id: jobId, context, log, maxBytes: settings.STREAMED_TEXT_MAX_BYTES })
  }
  const cancellations = openCancellations({ redisUrl: settings.REDIS_URL, log })
  const poison = createPoisonStore({ redis, ttlMs: settings.POISON_TTL_MS })
  const shared = createSharedAnswers<Answer>()
  const forgetting = createModelForgetting(redis)
  const gauge = createProcessGauge()
  const gates = new Map<string, SuspectGate>()
  const cores = availableCores()
  const wanted = { engines: settings.ENGINES, intraOpThreads: settings.INTRA_OP_THREADS }
  if (Math.max(1, wanted.engines) * wanted.intraOpThreads > cores) {
    const used = shareCores(wanted, { cores, sharedBy: 1 })
    log.warn({ wanted, used, cores }, 'ENGINES x INTRA_OP_THREADS is more than the cores of this process: lowered')
  }

  const openPool: ModelManagerOptions['openPool'] = ({ folder, name, version }, { variant, onTrouble }, sharedBy) => {
    const share = shareCores(wanted, { cores, sharedBy })
    return createEnginePool({
      modelFolder: folder,
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
      loadTimeoutMs: settings.ENGINE_LOAD_TIMEOUT_MS,
      longestPauseMs: settings.ENGINE_RETRY_MAX_MS,
      execution: { ...toExecutionOptions(settings), ...(variant === null ? {} : { variant }) },
      onTrouble,
      ...(engineEntry === undefined ? {} : { engineEntry }),
      log,
    })
  }

  const openSource = (model: string, pinnedTo: string | null, handling: JobHandling): JobSource => {
    // One suspect at a time of the model, whichever of its queues it comes from.
    const suspects = gates.get(model) ?? createSuspectGate()
    gates.set(model, suspects)
    return openJobSource({
      redisUrl: settings.REDIS_URL,
      model,
      pinnedTo,
      concurrency: settings.CONCURRENCY,
      lockMs: settings.LOCK_MS,
      stalledCheckMs: settings.STALLED_CHECK_MS,
      handle: createJobProcessor({
        ...handling,
        results,
        openText,
        poison,
        suspects,
        cancellations,
        shared: settings.ANSWER_TTL_MS === 0 ? null : shared,
        retention,
        maxStalls: settings.MAX_STALLS,
        maxAttempts: settings.MAX_ATTEMPTS,
        log,
      }),
      giveUp: async (job, attempts) => {
        const final = failedJob(job, attempts, retention.failedResultTtlMs)
        if (await results.finish(job, final)) logEndedJob(log, job, final)
      },
      log,
    })
  }

  let renewAnnouncement = (): void => {}
  const manager: ModelManager = startModelManager({
    repository: settings.MODEL_REPOSITORY,
    policy: parseModelPolicy(settings.MODELS),
    pollMs: settings.MODEL_POLL_MS,
    readOrders: async () => readModelOrders(redis),
    openPool,
    decideVariant: createFleetVariant({
      agree: async (model, own) => agreeOnVariant(redis, model, own),
      int8Saturates: await int8Saturates(),
      log,
    }),
    openSource,
    forget: async (name, version) => forgetting.forget(name, version),
    countPinned: async (name, version) => forgetting.countPinned(name, version),
    lingerMs,
    drainMs: 2 * settings.RUN_TIMEOUT_MS,
    onChange: () => renewAnnouncement(),
    log,
  })

  const announcer = await startAnnouncer({
    redis,
    heartbeatMs: settings.HEARTBEAT_MS,
    describe: () => ({
      version: 2,
      id,
      startedAt,
      heartbeatAt: Date.now(),
      ...manager.describe(),
      process: { ...gauge.read(), engineCpuSeconds: manager.engineCpuSeconds() },
    }),
    log,
  })
  renewAnnouncement = announcer.renew
  // What became ready while the first announcement was under way.
  announcer.renew()

  return {
    id,
    async close() {
      const deadlineMs = settings.SHUTDOWN_TIMEOUT_MS
      const done = Promise.all([manager.close(deadlineMs), announcer.close()])
      const inTime = await Promise.race([done.then(() => true), sleep(deadlineMs + 1000).then(() => false)])
      if (!inTime) {
        log.warn({ deadlineMs }, 'Not everything was finished or handed back in time')
        await manager.abandon()
      }
      gauge.close()
      cancellations.close()
      redis.disconnect()
    },
  }
}

async function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref()
  })
}
