import type { JobClient, ModelDirectory } from '@vision-queue/transport'
import { z } from 'zod'

import type { ApiHandler } from '../api-env.ts'

export const healthSchema = z.object({ status: z.literal('ok') })

/** What a replica needs before it can accept jobs, and which of it is missing. */
export const readinessSchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  missing: z
    .array(z.enum(['redis', 'noeviction', 'models']))
    .describe(
      'redis: it does not answer; noeviction: its maxmemory-policy lets it forget accepted jobs; models: no consumer has ever had one ready',
    ),
})

/** `GET /health`, `GET /health/live`: the process answers; says nothing of Redis, whose absence no restart cures. */
export const live: ApiHandler = (c) => c.json({ status: 'ok' } satisfies z.infer<typeof healthSchema>)

/** `GET /health/ready`: 503 naming what is missing. Models without live consumers count: their jobs are accepted and wait. */
export function ready({ jobs, models }: { jobs: JobClient; models: ModelDirectory }): ApiHandler {
  const missing = async (): Promise<z.infer<typeof readinessSchema>['missing']> => {
    try {
      await jobs.ping()
      if ((await jobs.evictionPolicy()) !== null) return ['noeviction']
      return (await models.list()).some(({ manifest }) => manifest !== null) ? [] : ['models']
    } catch {
      return ['redis']
    }
  }
  return async (c) => {
    const lacks = await missing()
    const status = lacks.length === 0 ? 'ready' : 'not_ready'
    const body: z.infer<typeof readinessSchema> = { status, missing: lacks }
    return c.json(body, status === 'ready' ? 200 : 503, { 'Cache-Control': 'no-store' })
  }
}
