import { z } from 'zod'

/**
 * Where a job's time goes. `queue`: from its submission until a consumer took it. `fetch`: what the consumer itself read
 * of it in Redis. `preprocess`: in the engine, until it was ready for a batch. `batch_wait`: for an engine and for its
 * batch to be launched. `inference`: the runs of its batch. `delivery`: until its result stood in Redis. `total`: from
 * its submission until its final state, failed jobs too.
 */
export const jobStages = ['queue', 'fetch', 'preprocess', 'batch_wait', 'inference', 'delivery', 'total'] as const
export const jobStageSchema = z.enum(jobStages)
export type JobStage = z.infer<typeof jobStageSchema>

/** Upper bounds of the buckets that durations are counted in, in seconds. */
export const durationBounds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
] as const

/** How many durations fell between each bound and the one before, the last of `counts` over all bounds; and their sum. */
export const durationsSchema = z.object({ counts: z.array(z.int()), sum: z.number() })
export type Durations = z.infer<typeof durationsSchema>

/**
 * When the tokens of an answer came. `first_token`: from the job's submission to its first token. `prefill`: from its
 * place among the running ones in its engine to its first token. `decode`: from there to its last. `per_token`: what
 * each token after the first took, on average.
 */
export const tokenTimes = ['first_token', 'prefill', 'decode', 'per_token'] as const
export const tokenTimeSchema = z.enum(tokenTimes)
export type TokenTime = z.infer<typeof tokenTimeSchema>

/** What a consumer has measured of the jobs of one version since it started. */
export const versionWorkSchema = z.object({
  durations: z.partialRecord(jobStageSchema, durationsSchema),
  /** Of models that count them. */
  tokens: z.object({ prompt: z.int(), completion: z.int() }),
  /** Of answers that were generated. Absent: none was, or of a consumer from before. */
  tokenTimes: z.partialRecord(tokenTimeSchema, durationsSchema).optional(),
})
export type VersionWork = z.infer<typeof versionWorkSchema>

/** How a job came to be taken. `takeover`: a consumer died while it held it. `retry`: an earlier attempt failed or was handed back. */
export const attemptKinds = ['first', 'retry', 'takeover'] as const
export const attemptKindSchema = z.enum(attemptKinds)

/** What a consumer has counted of one model's jobs since it started, whichever version ran them, if any did. */
export const modelWorkSchema = z.object({
  attempts: z.partialRecord(attemptKindSchema, z.int()),
  /** Jobs that ended without an answer, by error code. */
  failures: z.record(z.string(), z.int()),
})
export type ModelWork = z.infer<typeof modelWorkSchema>

export function noDurations(): Durations {
  return { counts: Array.from({ length: durationBounds.length + 1 }, () => 0), sum: 0 }
}

/** Counts one duration. */
export function addDuration(durations: Durations, seconds: number): void {
  const bucket = durationBounds.findIndex((bound) => seconds <= bound)
  const index = bucket < 0 ? durationBounds.length : bucket
  durations.counts[index] = (durations.counts[index] ?? 0) + 1
  durations.sum += seconds
}
