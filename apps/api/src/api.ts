import { assertOwnObjects, openBlobStore, openUploads } from '@vision-queue/blobs'
import { createJobController, parseBlobStore, toRetention } from '@vision-queue/process'
import { openApiKeys, openJobClient, openModelDirectory } from '@vision-queue/queue/producer'
import { greetRedis, type RedisClient } from '@vision-queue/redis'
import { openTracing } from '@vision-queue/tracing'
import type { Logger } from 'pino'

import { createApp } from './app.ts'
import type { ApiSettings } from './config.ts'
import { assertSomebodyHasKey } from './guard/access.ts'
import { openHttpServer } from './http-server.ts'
import { createFetchImage } from './intake/fetch-image.ts'
import { createMetrics } from './observe/metrics.ts'
import { createStoreCheck } from './observe/store-check.ts'

export interface ApiOptions {
  settings: ApiSettings
  log: Logger
  /** The connection that jobs are added by, where others of this process share it; it is left open. */
  redis?: RedisClient | undefined
}

/** An API that listens. */
export interface Api {
  port: number
  /**
   * Tells clients to come elsewhere for `DRAIN_MS`, lets running requests finish within `SHUTDOWN_TIMEOUT_MS`, cuts what
   * is left, and lets go of Redis.
   */
  close(): Promise<void>
}

/** Opens what an API needs in order, and resolves once it listens, whether Redis answers or not. */
export async function startApi({ settings, log, redis: shared }: ApiOptions): Promise<Api> {
  const closing = createJobController()
  await greetRedis(settings.REDIS_URL, settings.REDIS_COMMAND_TIMEOUT_MS, log)
  const redis = { redisUrl: settings.REDIS_URL, commandTimeoutMs: settings.REDIS_COMMAND_TIMEOUT_MS, log }
  const store = await openBlobStore(parseBlobStore(settings.BLOB_STORE))
  if (store.objects !== null) await assertOwnObjects(redis, store.objects)
  const jobs = openJobClient({
    ...redis,
    values: store.values,
    redis: shared,
    maxJobs: settings.QUEUE_MAX_JOBS,
    maxBytes: settings.QUEUE_MAX_BYTES,
    payloadTtlMs: settings.PAYLOAD_TTL_MS,
    retention: toRetention(settings),
    listLength: settings.JOB_LIST_LENGTH,
    orphanCheckMs: settings.ORPHAN_CHECK_MS,
    answerMemoryBytes: settings.ANSWER_MEMORY_BYTES,
  })
  const uploads = openUploads({
    ...redis,
    store,
    imageTtlMs: settings.IMAGE_TTL_MS,
    maxBytes: settings.MAX_UPLOADED_BYTES,
    shared: settings.SHARE_ANSWERS,
  })
  const keys = openApiKeys({ ...redis, cacheMs: settings.KEY_CACHE_MS })
  await assertSomebodyHasKey(keys, settings, log)
  const models = openModelDirectory({ ...redis, refreshMs: settings.MODELS_REFRESH_MS })
  const metrics = createMetrics()
  const fetchImage = createFetchImage({ settings, metrics, log })
  const tracing = openTracing(settings, 'vision-queue-api')
  const checkStore = store.objects === null ? null : createStoreCheck(store.objects, log)
  const app = createApp({
    jobs,
    uploads,
    keys,
    models,
    checkStore,
    fetchImage,
    settings,
    log,
    metrics,
    tracing,
    closing: closing.signal,
  })
  const server = await openHttpServer({
    app,
    host: settings.HOST,
    port: settings.PORT,
    bodyTimeoutMs: settings.BODY_TIMEOUT_MS,
    log,
  })
  log.info({ host: settings.HOST, port: server.port }, 'Listening')

  return {
    port: server.port,
    async close() {
      closing.abort()
      await server.close(settings.SHUTDOWN_TIMEOUT_MS, settings.DRAIN_MS)
      await models.close()
      keys.close()
      await uploads.close()
      store.close()
      await jobs.close()
      await tracing?.close()
    },
  }
}
