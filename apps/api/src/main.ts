import { setMaxListeners } from 'node:events'

import { parseSettings, SettingsError } from '@vision-queue/jobs'
import { openImageStore, openJobClient, openModelDirectory } from '@vision-queue/transport'
import { pino } from 'pino'

import { createApp } from './app.ts'
import { type ApiSettings, apiSettings } from './config.ts'
import { openHttpServer } from './http-server.ts'
import { createMetrics } from './metrics.ts'

/** Starts in order, stops in reverse under one deadline: SHUTDOWN_TIMEOUT_MS. */
async function main(settings: ApiSettings): Promise<void> {
  const log = pino({ level: settings.LOG_LEVEL, base: { app: 'api' } })
  const closing = new AbortController()
  // One listener per open long-poll and event stream; that they are many is no leak.
  setMaxListeners(0, closing.signal)

  const redis = { redisUrl: settings.REDIS_URL, commandTimeoutMs: settings.REDIS_COMMAND_TIMEOUT_MS, log }
  const jobs = openJobClient({
    ...redis,
    maxJobs: settings.QUEUE_MAX_JOBS,
    maxBytes: settings.QUEUE_MAX_BYTES,
    payloadTtlMs: settings.PAYLOAD_TTL_MS,
    orphanCheckMs: settings.ORPHAN_CHECK_MS,
    answerMemoryBytes: settings.ANSWER_MEMORY_BYTES,
  })
  const images = openImageStore({ ...redis, imageTtlMs: settings.IMAGE_TTL_MS, maxBytes: settings.MAX_UPLOADED_BYTES })
  const models = openModelDirectory({ ...redis, refreshMs: settings.MODELS_REFRESH_MS })
  const app = createApp({ jobs, images, models, settings, log, metrics: createMetrics(), closing: closing.signal })
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
    await images.close()
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

try {
  await main(parseSettings(apiSettings, process.env))
} catch (error) {
  console.error(error instanceof SettingsError ? error.message : error)
  process.exit(1)
}
