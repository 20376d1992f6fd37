import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { z } from 'zod'

/** What the load generator is started with, as JSON in its first argument. */
export const loopOptionsSchema = z.object({
  url: z.url(),
  clients: z.int().min(1),
  /** New requests are sent for so long; those in flight then are waited for and count. */
  seconds: z.number(),
  /** Ends earlier after so many right answers. */
  maxJobs: z.int().optional(),
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

const script = fileURLToPath(new URL('closed-loop.ts', import.meta.url))

/** Runs the load generator, closed-loop.ts, in a process of its own. */
export async function runClosedLoop(options: LoopOptions): Promise<LoopReport> {
  const args = ['--import', 'tsx', script, JSON.stringify(options)]
  // A latency takes about 18 characters.
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 })
  return loopReportSchema.parse(JSON.parse(stdout))
}
