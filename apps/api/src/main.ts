import { setMaxListeners } from 'node:events'

import { parseSettings, safeLogging, SettingsError, toRetention } from '@vision-queue/process'
import { letHeapGrow } from '@vision-queue/process'
import { openUploads } from '@vision-queue/blobs'
import { openApiKeys, openJobClient, openModelDirectory } from '@vision-queue/queue/producer'
import { pino } from 'pino'

import { assertSomebodyHasKey } from './guard/access.ts'
import { createApp } from './app.ts'
import { type ApiSettings, apiSettings } from './config.ts'
import { ListenError, openHttpServer } from './http-server.ts'
import { createMetrics } from './observe/metrics.ts'
import { createFetchImage } from './intake/fetch-image.ts'

/** Starts in order, stops in reverse under one deadline: SHUTDOWN_TIMEOUT_MS. */
async function main(settings: ApiSettings): Promise<void> {
  const log = pino({ ...safeLogging, level: settings.LOG_LEVEL, base: { app: 'api' } })
  const closing = new AbortController()
  // One listener per open long-poll and event stream; that they are many is no leak.
  setMaxListeners(0, closing.signal)

  const redis = { redisUrl: settings.REDIS_URL, commandTimeoutMs: settings.REDIS_COMMAND_TIMEOUT_MS, log }
  const jobs = openJobClient({
    ...redis,
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
    imageTtlMs: settings.IMAGE_TTL_MS,
    maxBytes: settings.MAX_UPLOADED_BYTES,
    shared: settings.SHARE_ANSWERS,
  })
  const keys = openApiKeys({ ...redis, cacheMs: settings.KEY_CACHE_MS })
  await assertSomebodyHasKey(keys, settings, log)
  const models = openModelDirectory({ ...redis, refreshMs: settings.MODELS_REFRESH_MS })
  const metrics = createMetrics()
  const fetchImage = createFetchImage({ settings, metrics, log })
  const app = createApp({ jobs, uploads, keys, models, fetchImage, settings, log, metrics, closing: closing.signal })
  const server = await openHttpServer({
    app,
    host: settings.HOST,
    port: settings.PORT,
    bodyTimeoutMs: settings.BODY_TIMEOUT_MS,
    log,
  })
  log.info({ host: settings.HOST, port: server.port }, 'Listening')
  // For a parent that gave PORT=0 and has to know what was taken.
  process.send?.({ kind: 'listening', port: server.port })

  const stop = async (reason: string): Promise<void> => {
    if (closing.signal.aborted) return
    log.info({ reason }, 'Closing')
    setTimeout(
      () => {
        log.error({}, 'Could not close in time')
        process.exit(1)
      },
      settings.DRAIN_MS + settings.SHUTDOWN_TIMEOUT_MS + 2000,
    )
    closing.abort()
    await server.close(settings.SHUTDOWN_TIMEOUT_MS, settings.DRAIN_MS)
    await models.close()
    keys.close()
    await uploads.close()
    await jobs.close()
    log.info({}, 'Closed')
    // ioredis would hold the process for two more seconds with a timer of its own.
    process.exit(0)
  }
  const stopFor = (reason: string) => (): void => {
    stop(reason).catch((error: unknown) => {
      log.error({ err: error }, 'Closing failed')
      process.exit(1)
    })
  }
  process.on('SIGTERM', stopFor('SIGTERM'))
  process.on('SIGINT', stopFor('SIGINT'))
  process.on('disconnect', stopFor('parent is gone'))
}

async function run(): Promise<void> {
  letHeapGrow()
  try {
    await main(parseSettings(apiSettings, process.env))
  } catch (error) {
    console.error(error instanceof SettingsError || error instanceof ListenError ? error.message : error)
    process.exit(1)
  }
}

void run()
