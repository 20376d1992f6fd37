import type { Part } from '@vision-queue/process'
import type { Logger } from 'pino'

import { startApi } from './api.ts'
import type { ApiSettings } from './config.ts'

interface Options {
  settings: ApiSettings
  log: Logger
  /** Told when it listens: a parent that gave PORT=0 has to know what was taken. */
  onListening: (port: number) => void
}

/** An API as a part of a process. */
export function apiPart({ settings, log, onListening }: Options): Part {
  return {
    closeMs: settings.DRAIN_MS + settings.SHUTDOWN_TIMEOUT_MS,
    async start() {
      const api = await startApi({ settings, log })
      onListening(api.port)
      return api
    },
  }
}
