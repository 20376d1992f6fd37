import { monitorEventLoopDelay } from 'node:perf_hooks'

/** How long the event loop of this process kept others waiting, in milliseconds. */
export interface LoopDelays {
  min: number
  max: number
  mean: number
  stddev: number
  p50: number
  p90: number
  p99: number
}

/**
 * Measures delays of the event loop while there is work. The measuring wakes the process a hundred times a second,
 * which alone costs an idle process five milliseconds of CPU a second.
 */
export interface LoopDelay {
  /** To be called when work begins; from then on delays are measured, until no work has begun for a second. */
  noteWork(): void
  /** The delays since the call before; all 0 where nothing was measured. */
  read(): LoopDelays
  close(): void
}

const resolutionMs = 10
const restAfterMs = 1000

export function createLoopDelay(): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs })
  let resting: NodeJS.Timeout | undefined
  let worked = false

  const rest = (): void => {
    if (!worked) {
      histogram.disable()
      clearInterval(resting)
      resting = undefined
    }
    worked = false
  }
  // The histogram holds the timer's own interval as well.
  const delay = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs)
  const read = (): LoopDelays => {
    if (histogram.count === 0) return { min: 0, max: 0, mean: 0, stddev: 0, p50: 0, p90: 0, p99: 0 }
    const [p50, p90, p99] = [50, 90, 99].map((share) => delay(histogram.percentile(share)))
    const { min, max, mean, stddev } = histogram
    const spread = stddev / 1e6
    return {
      min: delay(min),
      max: delay(max),
      mean: delay(mean),
      stddev: spread,
      p50: p50 ?? 0,
      p90: p90 ?? 0,
      p99: p99 ?? 0,
    }
  }

  return {
    noteWork() {
      worked = true
      if (resting !== undefined) return
      histogram.enable()
      resting = setInterval(rest, restAfterMs)
      resting.unref()
    },
    read() {
      const delays = read()
      histogram.reset()
      return delays
    },
    close() {
      histogram.disable()
      clearInterval(resting)
    },
  }
}
