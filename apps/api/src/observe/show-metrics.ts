import type { JobClient, ModelDirectory, ServedModel } from '@vision-queue/queue/producer'

import type { ApiHandler } from '../api-env.ts'
import { createFleetSums } from './fleet-sums.ts'
import type { Metrics } from './metrics.ts'
import { createServedMetrics, type Depth, type ServedSnapshot } from './served-metrics.ts'

interface Options {
  jobs: JobClient
  models: ModelDirectory
  metrics: Metrics
}

/** For who looks by hand. */
const elsewhereNote =
  '# What all API processes know (queues, models, consumers) is told by another one, which was scraped before this one.\n'

/**
 * `GET /metrics`: Prometheus text of what this process counted itself, and, where no other API process tells it, of what
 * all of them read from Redis (decision 78). Without Redis, the first alone.
 */
export function showMetrics({ jobs, models, metrics }: Options): ApiHandler {
  const renew = createServedMetrics(metrics.registry)
  const sums = createFleetSums()
  const look = async (): Promise<ServedSnapshot | 'elsewhere' | null> => {
    try {
      const known = await models.list()
      // A Redis that refuses writes can be read all the same, and that is when the figures are needed.
      const told = await models.claimFigures().catch(() => true)
      const counts = sums.look(known, told)
      if (!told) return 'elsewhere'
      const names = [...new Set(known.map(({ name }) => name))]
      const [redis, depths] = await Promise.all([
        jobs.redisFigures(),
        Promise.all(names.map(async (name) => [name, await depthOf(jobs, known, name)] as const)),
      ])
      return { models: known, depths: new Map(depths), counts, redis }
    } catch {
      return null
    }
  }
  return async (c) => {
    const snapshot = await look()
    // No await until the text is made: a second scrape must not empty these meanwhile.
    renew(snapshot === 'elsewhere' ? null : snapshot)
    metrics.redisUp.set(snapshot === null ? 0 : 1)
    const text = metrics.registry.metrics()
    const note = snapshot === 'elsewhere' ? elsewhereNote : ''
    return c.body(note + (await text), 200, { 'Content-Type': metrics.registry.contentType })
  }
}

async function depthOf(jobs: JobClient, known: readonly ServedModel[], model: string): Promise<Depth> {
  const versions = known.filter(({ name }) => name === model).map(({ version }) => version)
  const [depth, backlog] = await Promise.all([jobs.depth(model), jobs.backlog(model, versions)])
  return { ...depth, ...backlog }
}
