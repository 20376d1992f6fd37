import { type LoadProgress, loadStepSchema } from '@vision-queue/protocol'
import { z } from 'zod'

/** What an engine does that loads a version, as `GET /models` shows it. */
export const loadingSchema = z
  .object({
    step: loadStepSchema.shape.step.describe(
      'reading: the folder’s files; opening: its graphs, one after the other; warming_up: first runs',
    ),
    at: loadStepSchema.shape.at.describe('the graph or the run it is at, from 1 on; null where they are not counted'),
    of: loadStepSchema.shape.of.describe('how many of them there are, as far as it is known'),
    since: z.iso.datetime(),
  })
  .nullable()
  .describe('what an engine does that loads it, for the first time or for newer files; its jobs wait meanwhile')

export function loadingResponse(loading: LoadProgress | null): z.infer<typeof loadingSchema> {
  return loading === null ? null : { ...loading, since: new Date(loading.since).toISOString() }
}
