import { monitorEventLoopDelay } from 'node:perf_hooks'

/** What this process uses, for its announcement. */
export interface ProcessGauge {
  /** `eventLoopDelayMs`: the longest delay of the event loop since the call before. */
  read(): { cpuSeconds: number; residentBytes: number; eventLoopDelayMs: number }
  close(): void
}

const resolutionMs = 10

export function createProcessGauge(): ProcessGauge {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs })
  delays.enable()
  return {
    read() {
      const { user, system } = process.cpuUsage()
      // The histogram holds the timer's own interval as well.
      const eventLoopDelayMs = Math.max(0, delays.max / 1e6 - resolutionMs)
      delays.reset()
      return { cpuSeconds: (user + system) / 1e6, residentBytes: process.memoryUsage.rss(), eventLoopDelayMs }
    },
    close() {
      delays.disable()
    },
  }
}
