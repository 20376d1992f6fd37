import { createLoopDelay, type LoopDelays } from '@vision-queue/process'
import { Gauge, type Registry } from 'prom-client'

/** What prom-client calls its gauges of the event loop's delay, and which of our figures each is. */
const figures: Readonly<Record<string, { figure: keyof LoopDelays; help: string }>> = {
  nodejs_eventloop_lag_min_seconds: { figure: 'min', help: 'Shortest' },
  nodejs_eventloop_lag_max_seconds: { figure: 'max', help: 'Longest' },
  nodejs_eventloop_lag_mean_seconds: { figure: 'mean', help: 'Mean' },
  nodejs_eventloop_lag_stddev_seconds: { figure: 'stddev', help: 'Standard deviation of the' },
  nodejs_eventloop_lag_p50_seconds: { figure: 'p50', help: '50th percentile of the' },
  nodejs_eventloop_lag_p90_seconds: { figure: 'p90', help: '90th percentile of the' },
  nodejs_eventloop_lag_p99_seconds: { figure: 'p99', help: '99th percentile of the' },
}

/**
 * Puts gauges of the same names in the place of prom-client's, which wake an idle process a hundred times a second.
 * Returns what is to be called when a request arrives.
 */
export function replaceLoopMetrics(registry: Registry): () => void {
  const loop = createLoopDelay()
  let last = loop.read()
  for (const [index, [name, { figure, help }]] of Object.entries(figures).entries()) {
    registry.removeSingleMetric(name)
    const gauge: Gauge = new Gauge({
      name,
      help: `${help} delay of the event loop since the scrape before, while there were requests`,
      registers: [registry],
      collect() {
        // All of them tell of the same time.
        if (index === 0) last = loop.read()
        gauge.set(last[figure] / 1000)
      },
    })
  }
  return loop.noteWork
}
