import { release } from '@vision-queue/process'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'

import type { ConsumerView } from './consumer-health.ts'

const prefix = 'vision_queue_'
const longestTimerMs = 2 ** 31 - 1

/**
 * What only this process knows, as Prometheus text. What consumers announce (batches, jobs, costs, capacity) is not
 * here: API processes tell it, and a sum over all that is scraped must count it once (decision 78).
 */
export function createConsumerMetrics(read: () => ConsumerView): Registry {
  const registry = new Registry()
  const registers = [registry]
  // Its own measure of the event loop would wake an idle consumer; a longer pause than this there is none.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: longestTimerMs })
  for (const { name } of registry.getMetricsAsArray()) {
    if (name.includes('nodejs_eventloop_lag')) registry.removeSingleMetric(name)
    // Gauges whose names end like a counter's, which promtool objects to. The same is told by type of handle.
    if (/^nodejs_active_.*_total$/.test(name)) registry.removeSingleMetric(name)
  }
  new Gauge({
    name: `${prefix}build_info`,
    help: 'The release that runs, and its part: always 1',
    labelNames: ['release', 'node_version', 'part'],
    registers,
  }).set({ release, node_version: process.version, part: 'consumer' }, 1)
  const age: Gauge = new Gauge({
    name: `${prefix}announcement_age_seconds`,
    help: 'Since Redis last took the announcement of this consumer; API processes forget one after three heartbeats',
    registers,
    collect() {
      const { announcedAt } = read()
      if (announcedAt === null) age.reset()
      else age.set((performance.now() - announcedAt) / 1000)
    },
  })
  const engines: Gauge<'model' | 'version' | 'state'> = new Gauge({
    name: `${prefix}consumer_engines`,
    help: 'Engines of this consumer by model: up (they can take jobs) or down',
    labelNames: ['model', 'version', 'state'],
    registers,
    collect() {
      engines.reset()
      for (const { name: model, version, engines: all, enginesUp: up = 0 } of read().models) {
        engines.set({ model, version, state: 'up' }, up)
        engines.set({ model, version, state: 'down' }, Math.max(0, all - up))
      }
    },
  })
  const status: Gauge<'model' | 'version' | 'status'> = new Gauge({
    name: `${prefix}consumer_model_status`,
    help: '1 for the status that a version has in this consumer now',
    labelNames: ['model', 'version', 'status'],
    registers,
    collect() {
      status.reset()
      for (const { name: model, version, status: now } of read().models) status.set({ model, version, status: now }, 1)
    },
  })
  return registry
}
