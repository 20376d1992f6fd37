import { z } from 'zod'

import { finalJobSchema } from '@vision-queue/protocol'

/** What a consumer publishes on a job's channel: that it runs now, its answer's text so far, or its final state. */
export const jobChangeSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('running'), startedAt: z.int(), attempts: z.int() }),
  z.object({ kind: z.literal('tokens'), text: z.string() }),
  z.object({ kind: z.literal('final'), job: finalJobSchema }),
])
export type JobChange = z.infer<typeof jobChangeSchema>
