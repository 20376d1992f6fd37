import { z } from 'zod'
import { finalJobSchema, jobSchema } from './job.ts'

/**
 * Where a reader is in a job's events. A reader that gives the position of the last event it has seen gets what came
 * after it. Only the service knows what is in a position.
 */
export const jobPositionSchema = z.string().min(1).max(100)

/**
 * What happens to a job, for whoever reads along: the state that it is in and every later one, the text of an answer
 * that is being generated, and the final state, which is the last event.
 *
 * A delta is a piece of the text and where it begins in the whole, in UTF-16 units. The piece replaces what was there
 * from `index` on: if a job begins anew, so does the index. Before the final event of a job that succeeded the deltas
 * together are the whole text.
 */
export const jobEventSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('state'), position: jobPositionSchema, job: jobSchema }),
  z.object({ kind: z.literal('delta'), position: jobPositionSchema, text: z.string(), index: z.int().min(0) }),
  z.object({ kind: z.literal('final'), position: jobPositionSchema, job: finalJobSchema }),
])
export type JobEvent = z.infer<typeof jobEventSchema>
