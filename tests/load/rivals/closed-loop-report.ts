import { z } from 'zod'

/** What the load generator is started with, as JSON in its first argument. */
export const loopOptionsSchema = z.object({
  url: z.url(),
  clients: z.int().min(1),
  /** New requests are sent for so long; those in flight then are waited for and count. */
  seconds: z.number(),
})
export type LoopOptions = z.infer<typeof loopOptionsSchema>

/** What it prints, as JSON. */
export const loopReportSchema = z.object({
  /** From request to checked answer, one per job that succeeded, in milliseconds. */
  latenciesMs: z.array(z.number()),
  /** Other statuses, other answers, broken connections. */
  errors: z.int(),
  /** What the first of them was. */
  firstError: z.string().nullable(),
  /** Until the last answer. */
  seconds: z.number(),
  cpuSeconds: z.number(),
})
export type LoopReport = z.infer<typeof loopReportSchema>
