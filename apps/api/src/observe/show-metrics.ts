import type { JobClient, ModelDirectory } from '@vision-queue/queue/producer'

import type { ApiHandler } from '../api-env.ts'
import type { Metrics } from './metrics.ts'
import { createServedMetrics, type ServedSnapshot } from './served-metrics.ts'

interface Options {
  jobs: JobClient
  models: ModelDirectory
  metrics: Metrics
}

/** `GET /metrics`: Prometheus text; without Redis, what this process counted itself. */
export function showMetrics({ jobs, models, metrics }: Options): ApiHandler {
  const renew = createServedMetrics(metrics.registry)
  const look = async (): Promise<ServedSnapshot | null> => {
    try {
      const known = await models.list()
      const names = [...new Set(known.map(({ name }) => name))]
      const depths = await Promise.all(names.map(async (name) => [name, await jobs.depth(name)] as const))
      return { models: known, depths: new Map(depths) }
    } catch {
      return null
    }
  }
  return async (c) => {
    const snapshot = await look()
    // No await until the text is made: a second scrape must not empty these meanwhile.
    renew(snapshot)
    metrics.redisUp.set(snapshot === null ? 0 : 1)
    const text = metrics.registry.metrics()
    return c.body(await text, 200, { 'Content-Type': metrics.registry.contentType })
  }
}
