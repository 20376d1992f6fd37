import type { z } from 'zod'

/** What a job's caller gets from a task: a JSON object. */
export type TaskOutput = Record<string, z.core.util.JSONType>
