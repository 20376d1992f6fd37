import { z } from 'zod'

import { finalJobSchema, finalStatusSchema } from '@vision-queue/protocol'
import { parseJson } from '@vision-queue/redis'

import { isObject } from './is-object.ts'

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

/**
 * The changes in a message: one, or a list of them, as the processes that wait for replies are sent. Null if it is not
 * what this release understands. It comes from our own processes, so that of a final job, which is most of what comes,
 * only what is used here is looked at.
 */
export function readChanges(message: string): JobChange[] | null {
  const read = parseJson(message)
  const changes = (Array.isArray(read) ? read : [read]).map(changeIn)
  return changes.every((change) => change !== null) ? changes : null
}

function changeIn(value: unknown): JobChange | null {
  if (isFinalChange(value)) return value
  const change = jobChangeSchema.safeParse(value)
  return change.success ? change.data : null
}

const finalStatuses: ReadonlySet<unknown> = new Set(finalStatusSchema.options)

/** The checks that matter to those who read it; the rest of its shape is what our releases write. */
function isFinalChange(value: unknown): value is Extract<JobChange, { kind: 'final' }> {
  if (!isObject(value) || value['kind'] !== 'final' || !isObject(value['job'])) return false
  const { id, status, model, created_at: createdAt, completed_at: completedAt, output, error } = value['job']
  const hasTexts = [id, model, createdAt, completedAt].every((text) => typeof text === 'string')
  return hasTexts && finalStatuses.has(status) && [output, error].every((one) => one === null || isObject(one))
}
