import { createLoopDelay } from '@vision-queue/process'

/** What this process uses, for its announcement. */
export interface ProcessGauge {
  /** To be called when a job is taken: delays of the event loop are measured while there are jobs. */
  noteJob(): void
  /** `eventLoopDelayMs`: the longest delay of the event loop since the call before. */
  read(): { cpuSeconds: number; residentBytes: number; eventLoopDelayMs: number }
  close(): void
}

export function createProcessGauge(): ProcessGauge {
  const loop = createLoopDelay()
  return {
    noteJob: loop.noteWork,
    read() {
      const { user, system } = process.cpuUsage()
      const residentBytes = process.memoryUsage.rss()
      return { cpuSeconds: (user + system) / 1e6, residentBytes, eventLoopDelayMs: loop.read().max }
    },
    close: loop.close,
  }
}
