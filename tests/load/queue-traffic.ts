import { z } from 'zod'

/**
 * One process of queue traffic as many consumers make it, without HTTP, decoding or a model: producers submit a
 * small picture each and wait for their results, sources take the jobs as consumers do (read the picture, say that
 * it runs, store the result). Sends the number of jobs done by message, several times a
 * second, until it is killed.
 */
export const trafficOptionsSchema = z.object({
  redisUrl: z.string(),
  kind: z.enum(['produce', 'consume']),
  /** Submissions under way at a time, or sources with `perSource` jobs each. */
  count: z.int().min(1),
  perSource: z.int().min(1),
  imageBytes: z.int().min(1),
})
export type TrafficOptions = z.infer<typeof trafficOptionsSchema>

export const trafficReportSchema = z.object({ done: z.int() })
