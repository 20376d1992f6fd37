import type { ServedModel } from '@vision-queue/queue/producer'
import { z } from 'zod'

/** A version whose jobs are accepted or refused, but run nowhere just now. */
export const modelWithoutEnginesSchema = z.object({
  model: z.string().describe('name@version'),
  status: z.enum(['ready', 'loading', 'failed', 'no_consumers']),
  error: z.string().nullable().describe('why there are no engines, where a consumer said so'),
  retry_at: z.iso.datetime().nullable().describe('when they are started again'),
})

/** The versions that no engine anywhere can run now; not those that were taken out on purpose. */
export function modelsWithoutEngines(models: readonly ServedModel[]): z.infer<typeof modelWithoutEnginesSchema>[] {
  return models.flatMap(({ name, version, status, error, retryAt, consumers }) => {
    if (status === 'unloaded' || consumers.some(({ enginesUp }) => enginesUp > 0)) return []
    const retry_at = retryAt === null ? null : new Date(retryAt).toISOString()
    return [{ model: `${name}@${version}`, status, error, retry_at }]
  })
}
