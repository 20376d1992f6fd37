import type { JobClient, ModelDirectory } from '@vision-queue/queue/producer'
import { z } from 'zod'

import type { ApiHandler } from '../../api-env.ts'
import { findModel, groupByName } from '../../intake/model-choice.ts'

export const purgedSchema = z.object({
  model: z.string(),
  canceled: z.int().describe('how many jobs waited and are canceled now'),
})

interface Options {
  jobs: JobClient
  models: ModelDirectory
}

/** `POST /models/{name}/purge`: cancels every job that waits for the model, pinned ones too; those that run go on. */
export function purgeModel({ jobs, models }: Options): ApiHandler {
  return async (c) => {
    const { group } = findModel(groupByName(await models.list()), c.req.param('name') ?? '')
    const versions = group.versions.map(({ version }) => version)
    const purged: z.infer<typeof purgedSchema> = {
      model: group.name,
      canceled: await jobs.purge(group.name, versions),
    }
    return c.json(purged, 200, { 'Cache-Control': 'no-store' })
  }
}
