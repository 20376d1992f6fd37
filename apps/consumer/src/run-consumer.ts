import { resolve as resolvePath } from 'node:path'
import { fileURLToPath } from 'node:url'

import { parseSettings, safeLogging, SettingsError } from '@vision-queue/process'
import { VisionQueueError } from '@vision-queue/protocol'
import { pino } from 'pino'

import { consumerSettings } from './config.ts'
import { startConsumer } from './consumer.ts'

const projectRoot = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * The life of a consumer process: settings from the environment, serving until SIGTERM, SIGINT or
 * the end of the launcher that forked it, then a clean stop. Exits 1 when it can't start.
 */
export async function runConsumer(overrides: { engineEntry?: string } = {}): Promise<never> {
  const asked = stopAsked()
  try {
    const settings = parseSettings(consumerSettings, process.env)
    // Wherever it is started from: pnpm runs an app in the app's own folder.
    settings.MODEL_REPOSITORY = resolvePath(projectRoot, settings.MODEL_REPOSITORY)
    const log = pino({ ...safeLogging, level: settings.LOG_LEVEL, base: { app: 'consumer' } })
    const starting = startConsumer({ settings, log, ...overrides })
    const early = await Promise.race([starting.then(() => null), asked])
    if (early !== null) {
      log.info({ reason: early }, 'Stopping before Redis answered')
      process.exit(0)
    }
    const consumer = await starting
    log.info({ consumer: consumer.id }, 'Taking jobs')
    log.info({ reason: await asked }, 'Stopping')
    await consumer.close()
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    process.exit(1)
  }
  process.exit(0)
}

/** What the operator has to know; where it is nothing we foresaw, with its stack. */
function messageOf(error: unknown): string {
  if (error instanceof SettingsError) return error.message
  if (error instanceof VisionQueueError) return error.detail
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** Why the process is to end. */
async function stopAsked(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve('SIGTERM'))
    process.once('SIGINT', () => resolve('SIGINT'))
    process.once('disconnect', () => resolve('the launcher went away'))
  })
}
