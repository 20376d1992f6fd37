import { z } from 'zod'

/** What a job's caller gets from a task: a JSON object. */
export const taskOutputSchema = z.record(z.string(), z.json())
export type TaskOutput = z.infer<typeof taskOutputSchema>
