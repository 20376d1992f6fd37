import { z } from 'zod'

/** One of the requests that are sent in turn: a picture as a raw body, everything else in the query. */
export const plannedRequestSchema = z.object({
  /** Under which its answers are counted, where a load mixes kinds. */
  label: z.string(),
  /** The picture's path. */
  file: z.string(),
  contentType: z.enum(['image/jpeg', 'image/png', 'image/webp']),
  /** As in `POST /jobs?model=...&question=...`. */
  query: z.record(z.string(), z.string()),
})
export type PlannedRequest = z.infer<typeof plannedRequestSchema>

/** When requests are sent. */
export const paceSchema = z.discriminatedUnion('kind', [
  /**
   * A closed loop: so many clients, each of which sends its next request when it has the answer to the one
   * before and has thought for a while. A slow service is asked less often, as by its own users.
   */
  z.object({
    kind: z.literal('clients'),
    clients: z.int().min(1).max(10_000),
    thinkMs: z.object({ min: z.number().min(0), max: z.number().min(0) }).nullable(),
  }),
  /**
   * An open loop: requests are sent at their times whatever became of those before, and latency counts
   * from the scheduled time, so that a service that stands still is charged for everything it holds up.
   * `poisson`: independent callers, in bursts and gaps; `even`: one every 1/perSecond.
   */
  z.object({
    kind: z.literal('rate'),
    perSecond: z.number().positive().max(100_000),
    arrivals: z.enum(['poisson', 'even']),
  }),
])
export type Pace = z.infer<typeof paceSchema>

export const loadPlanSchema = z.object({
  /** The API's address, with a path where it stands behind a proxy under one. */
  url: z.url({ protocol: /^https?$/ }),
  /** Sent as `Authorization: Bearer <key>`. */
  apiKey: z.string().nullable(),
  pace: paceSchema,
  /** Sent before the measurement begins; not counted. */
  warmUpMs: z.number().min(0),
  durationMs: z.number().positive(),
  /** `Prefer: wait`; a job that takes longer counts as `unfinished`. At most 60, as the API's. */
  waitSeconds: z.int().min(1).max(60),
  requests: z.array(plannedRequestSchema).min(1),
  /**
   * Adds some bytes after the end of each picture, which decoders don't read: no two are the same to the
   * service, as in life, so that neither its result cache nor its store of pictures saves work.
   */
  uniquePictures: z.boolean(),
})
export type LoadPlan = z.infer<typeof loadPlanSchema>
