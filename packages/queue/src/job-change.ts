import { z } from 'zod'

import { finalJobSchema } from '@vision-queue/protocol'

/** What a consumer publishes on a job's channel: that it runs now, the next piece of its text, or its final state. */
export const jobChangeSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('running'), startedAt: z.int(), attempts: z.int() }),
  /** The piece that the text's log (text-log.ts) has at `number`, counted from 0 in its run. */
  z.object({
    kind: z.literal('piece'),
    run: z.string(),
    number: z.int().min(0),
    text: z.string(),
    index: z.int().min(0),
  }),
  /** The whole text so far, of a consumer of an earlier release. Nobody reads it: the final state has the text. */
  z.object({ kind: z.literal('tokens') }),
  z.object({ kind: z.literal('final'), job: finalJobSchema }),
])
export type JobChange = z.infer<typeof jobChangeSchema>
