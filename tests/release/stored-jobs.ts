import { z } from 'zod'

/** What an earlier release left in Redis: jobs that wait, as it stored them. */
export const storedJobsSchema = z.object({
  /** The revision that queued them. */
  revision: z.string(),
  /** The Redis that wrote the dumps; one of the same version or newer reads them. */
  redis: z.string(),
  jobs: z.array(z.object({ id: z.string(), form: z.string(), answer: z.string() })),
  /** By DUMP, for RESTORE; 0: it does not expire. */
  keys: z.array(z.object({ key: z.string(), ttlMs: z.int(), dump: z.base64() })),
})

export type StoredJobs = z.infer<typeof storedJobsSchema>
