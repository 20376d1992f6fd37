import { availableParallelism } from 'node:os'

import { finalJob, type ModelStats, toVisionQueueError, VisionQueueError } from '@vision-queue/jobs'
import { createEnginePool, type EnginePool, type ModelLocation } from '@vision-queue/model-runtime'
import {
  assertNoEviction,
  createResultStore,
  type JobSource,
  openDurableConnection,
  openJobSource,
  openTextPublisher,
  startAnnouncer,
} from '@vision-queue/transport'
import { nanoid } from 'nanoid'
import type { Logger } from 'pino'

import type { ConsumerSettings } from './config.ts'
import { createProcessGauge } from './process-gauge.ts'
import { createJobProcessor } from './process-job.ts'
import { selectModels } from './select-models.ts'
import { createSuspectGate } from './suspect-gate.ts'

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

interface Serving {
  pool: EnginePool
  source: JobSource
  describe: () => { manifest: Awaited<EnginePool['ready']>; stats: ModelStats }
}

/** Starts serving; resolves once every model is warm and announced. Rejects if none of them could be loaded. */
export async function startConsumer({ settings, log, engineEntry }: ConsumerOptions): Promise<Consumer> {
  const id = `con_${nanoid()}`
  const startedAt = Date.now()
  const redis = openDurableConnection({ redisUrl: settings.REDIS_URL, log, name: 'consumer' })
  await assertNoEviction(redis)
  const results = createResultStore({ redis, resultTtlMs: settings.RESULT_TTL_MS, keepPayloadMs: 0 })
  const gauge = createProcessGauge()

  const serve = async (model: ModelLocation): Promise<Serving> => {
    const pool = createEnginePool({
      modelFolder: model.folder,
      name: model.name,
      version: model.version,
      engines: settings.ENGINES === 0 ? availableParallelism() : settings.ENGINES,
      intraOpThreads: settings.INTRA_OP_THREADS,
      runTimeoutMs: settings.RUN_TIMEOUT_MS,
      maxImagePixels: settings.MAX_IMAGE_PIXELS,
      ...(engineEntry === undefined ? {} : { engineEntry }),
      log,
    })
    const manifest = await pool.ready
    const finished: Record<string, number> = {}
    const source = openJobSource({
      redisUrl: settings.REDIS_URL,
      model: model.name,
      concurrency: settings.CONCURRENCY,
      lockMs: settings.LOCK_MS,
      stalledCheckMs: settings.STALLED_CHECK_MS,
      handle: createJobProcessor({
        pool,
        version: model.version,
        results,
        openText: (jobId) => openTextPublisher({ redis, id: jobId, log }),
        suspects: createSuspectGate(),
        resultTtlMs: settings.RESULT_TTL_MS,
        maxStalls: settings.MAX_STALLS,
        onFinished: (status) => {
          finished[status] = (finished[status] ?? 0) + 1
        },
        log,
      }),
      giveUp: async (job, attempts) => {
        const error = new VisionQueueError('inference_failed', `The job could not be finished in ${attempts} attempts.`)
        const ending = { status: 'failed', error: error.toJobError(), attempts } as const
        await results.finish(job, finalJob(job, ending, settings.RESULT_TTL_MS))
      },
      log,
    })
    log.info({ model: model.name, version: model.version, engines: pool.engines }, 'Model is warm')
    return { pool, source, describe: () => ({ manifest, stats: { ...pool.stats(), jobs: { ...finished } } }) }
  }

  const models = await selectModels(settings.MODEL_REPOSITORY, settings.MODELS)
  const attempts = await Promise.allSettled(models.map(serve))
  const serving: Serving[] = []
  for (const [index, attempt] of attempts.entries()) {
    if (attempt.status === 'fulfilled') serving.push(attempt.value)
    else log.error({ model: models[index]?.name, error: reason(attempt.reason) }, 'Model could not be loaded')
  }
  if (serving.length === 0) {
    redis.disconnect()
    throw new VisionQueueError('model_unavailable', 'None of the models could be loaded.')
  }

  const announcer = await startAnnouncer({
    redis,
    heartbeatMs: settings.HEARTBEAT_MS,
    describe: () => ({
      version: 1,
      id,
      startedAt,
      heartbeatAt: Date.now(),
      engines: serving.reduce((sum, { pool }) => sum + pool.engines, 0),
      models: serving.map(({ describe }) => describe()),
      process: { ...gauge.read(), engineCpuSeconds: serving.reduce((sum, { pool }) => sum + pool.cpuSeconds(), 0) },
    }),
    log,
  })

  return {
    id,
    async close() {
      const deadlineMs = settings.SHUTDOWN_TIMEOUT_MS
      const drained = Promise.all(
        serving.map(async ({ pool, source }) => {
          // Closing the source first stops the fetching; closing the pool then hands back what waits in it.
          const taken = source.close()
          await pool.close({ deadlineMs })
          await taken
        }),
      )
      const done = Promise.all([drained, announcer.close()])
      const inTime = await Promise.race([done.then(() => true), sleep(deadlineMs + 1000).then(() => false)])
      if (!inTime) {
        log.warn({ deadlineMs }, 'Not everything was finished or handed back in time')
        for (const { source } of serving) source.abandon()
        await Promise.all(serving.map(async ({ pool }) => pool.close({ deadlineMs: 0 })))
      }
      gauge.close()
      redis.disconnect()
    },
  }
}

function reason(error: unknown): string {
  return toVisionQueueError(error, 'model_unavailable').detail
}

async function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref()
  })
}
