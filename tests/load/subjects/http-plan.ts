import { z } from 'zod'

/** One of the requests that are sent in turn. */
const rawRequestSchema = z.object({
  method: z.enum(['GET', 'POST']),
  /** With its query. */
  path: z.string(),
  /** As `name: value`; the host and the length are added. */
  headers: z.array(z.string()),
  /** The body's file. Null: no body. */
  file: z.string().nullable(),
})
export type RawRequest = z.infer<typeof rawRequestSchema>

/** A load of clients, each of which sends its next request when it has the answer to the one before. */
export const httpPlanSchema = z.object({
  url: z.string(),
  clients: z.int().min(1),
  /** How long a client waits between an answer and its next request, on average: exponential, so that arrivals are nearly Poisson. */
  thinkMs: z.number().positive().nullable(),
  requests: z.array(rawRequestSchema).min(1),
  /** Whether 16 bytes of a serial number are added to each body, so that no two are the same. */
  unique: z.boolean(),
  /** What a good answer's body holds, besides a status of 2xx. Null: anything. */
  holds: z.string().nullable(),
  /** Whether answers are jobs that tell their times, which are then read. It costs a JSON.parse each. */
  readTimes: z.boolean(),
})
export type HttpPlan = z.infer<typeof httpPlanSchema>
