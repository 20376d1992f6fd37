import type { JobClient, ModelDirectory } from '@vision-queue/transport'
import { z } from 'zod'

import type { ApiHandler } from '../api-env.ts'
import { modelsWithoutEngines, modelWithoutEnginesSchema } from '../models-without-engines.ts'

export const healthSchema = z.object({ status: z.literal('ok') })

/** What a replica needs before it can accept jobs, and which of it is missing. */
export const readinessSchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  missing: z
    .array(z.enum(['redis', 'noeviction', 'models']))
    .describe(
      'redis: it does not answer; noeviction: it may drop accepted jobs when its memory is full, for want of ' +
        'maxmemory-policy noeviction; models: no consumer has ever had one ready',
    ),
  without_engines: z
    .array(modelWithoutEnginesSchema)
    .optional()
    .describe(
      'models that no engine can run now; no reason for 503, because this replica accepts their jobs, which wait',
    ),
})

/** `GET /health`, `GET /health/live`: the process answers; says nothing of Redis, whose absence no restart cures. */
export const live: ApiHandler = (c) => c.json({ status: 'ok' } satisfies z.infer<typeof healthSchema>)

/**
 * `GET /health/ready`: 503 naming what is missing. Models without live consumers or engines count: their jobs are
 * accepted and wait, and a replica that is taken out of service could not accept them. They are named beside it.
 */
export function ready({ jobs, models }: { jobs: JobClient; models: ModelDirectory }): ApiHandler {
  const look = async (): Promise<Omit<z.infer<typeof readinessSchema>, 'status'>> => {
    try {
      if ((await jobs.evictionPolicy()) !== null) return { missing: ['noeviction'] }
      const known = await models.list()
      const lost = modelsWithoutEngines(known)
      return {
        missing: known.some(({ manifest }) => manifest !== null) ? [] : ['models'],
        ...(lost.length === 0 ? {} : { without_engines: lost }),
      }
    } catch {
      return { missing: ['redis'] }
    }
  }
  return async (c) => {
    const found = await look()
    const status = found.missing.length === 0 ? 'ready' : 'not_ready'
    const body: z.infer<typeof readinessSchema> = { status, ...found }
    return c.json(body, status === 'ready' ? 200 : 503, { 'Cache-Control': 'no-store' })
  }
}
