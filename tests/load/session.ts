import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { z } from 'zod'

import { bareOptionsSchema, picturesOf } from './bare.ts'
import type { Corpus } from './corpora.ts'

export const sessionOptionsSchema = bareOptionsSchema
  .pick({ repository: true, name: true, pictures: true })
  .extend({ batchSizes: z.array(z.int().min(1)), seconds: z.number() })
export type SessionOptions = z.infer<typeof sessionOptionsSchema>

/** By batch size, how long each run took, in milliseconds. */
export const sessionReportSchema = z.array(z.object({ size: z.int(), runsMs: z.array(z.number()) }))
export type SessionReport = z.infer<typeof sessionReportSchema>

/** Session runs of pictures that are decoded already, of each batch size in turn, on one thread. */
export async function measureSession(
  corpus: Corpus,
  batchSizes: readonly number[],
  seconds: number,
): Promise<SessionReport> {
  const options: SessionOptions = {
    repository: corpus.repository,
    name: corpus.model,
    pictures: picturesOf(corpus),
    batchSizes: [...batchSizes],
    seconds,
  }
  const script = fileURLToPath(new URL('session-loop.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, JSON.stringify(options)])
  return sessionReportSchema.parse(JSON.parse(stdout))
}
