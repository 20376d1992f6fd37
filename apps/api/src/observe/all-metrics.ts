import type { Registry } from 'prom-client'

import { createMetrics } from './metrics.ts'
import { createServedMetrics } from './served-metrics.ts'

/** All metrics of an API process, its own and those that one API process tells for all, for documents. */
export function allMetrics(): { own: Registry; shared: readonly string[] } {
  const { registry } = createMetrics()
  const own = new Set(registry.getMetricsAsArray().map(({ name }) => name))
  createServedMetrics(registry)
  const shared = registry.getMetricsAsArray().flatMap(({ name }) => (own.has(name) ? [] : [name]))
  return { own: registry, shared }
}
