import type { JobClient } from '@vision-queue/transport'
import { z } from 'zod'

import type { ApiHandler } from '../api-env.ts'
import { maxWaitSeconds } from '../config.ts'
import { parseRequest } from '../expectation.ts'
import { jobIdFromPath, jobNotFound, jobResponse } from '../job-response.ts'
import { jobsOf } from '../owned-jobs.ts'
import { openWaitSignal } from '../wait-signal.ts'

const seconds = `a whole number of seconds from 0 to ${maxWaitSeconds}`

/** The query of `GET /jobs/{id}`. */
export const getJobQuerySchema = z.strictObject({
  wait: z
    .string()
    .regex(/^\d{1,2}$/, seconds)
    .transform(Number)
    .refine((value) => value <= maxWaitSeconds, seconds)
    .optional(),
})

/** `GET /jobs/{id}`: the job as it is; with `?wait=N` once it is final, or as it is after N seconds. */
export function getJob({ jobs, closing }: { jobs: JobClient; closing: AbortSignal }): ApiHandler {
  return async (c) => {
    const id = jobIdFromPath(c.req.param('id'))
    const { wait = 0 } = parseRequest(getJobQuerySchema, c.req.query())
    const waiting = openWaitSignal(c.env, closing)
    try {
      const own = jobsOf(jobs, c.get('caller').owner)
      const job = wait === 0 ? await own.read(id) : await own.waitFor(id, wait * 1000, waiting.signal)
      if (job === null) throw jobNotFound()
      return c.json(jobResponse(job, c.get('addressOf')), 200, { 'Cache-Control': 'no-store' })
    } finally {
      waiting.release()
    }
  }
}
