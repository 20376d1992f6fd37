import { resolve as resolvePath } from 'node:path'
import { fileURLToPath } from 'node:url'

import { type Part, PlainError } from '@vision-queue/process'
import { VisionQueueError } from '@vision-queue/protocol'

import { type Consumer, type ConsumerOptions, startConsumer } from './consumer.ts'

const projectRoot = fileURLToPath(new URL('../../../', import.meta.url))

/** A consumer as a part of a process. */
export function consumerPart(options: ConsumerOptions): Part {
  const { settings, log } = options
  // Wherever it is started from: pnpm runs an app in the app's own folder.
  const repository = resolvePath(projectRoot, settings.MODEL_REPOSITORY)
  return {
    // It bounds itself.
    closeMs: settings.SHUTDOWN_TIMEOUT_MS + 1000,
    async start(): Promise<Consumer> {
      try {
        const consumer = await startConsumer({ ...options, settings: { ...settings, MODEL_REPOSITORY: repository } })
        log.info({ consumer: consumer.id }, 'Taking jobs')
        return consumer
      } catch (error) {
        throw error instanceof VisionQueueError ? new PlainError(error.detail, { cause: error }) : error
      }
    },
  }
}
