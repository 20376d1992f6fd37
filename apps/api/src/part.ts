import type { Part } from '@vision-queue/process'

import { type ApiOptions, startApi } from './api.ts'

interface Options extends ApiOptions {
  /** Told when it listens: a parent that gave PORT=0 has to know what was taken. */
  onListening: (port: number) => void
}

/** An API as a part of a process. */
export function apiPart({ onListening, ...options }: Options): Part {
  const { settings } = options
  return {
    closeMs: settings.DRAIN_MS + settings.SHUTDOWN_TIMEOUT_MS,
    async start() {
      const api = await startApi(options)
      onListening(api.port)
      return api
    },
  }
}
