import type { JobSignal } from '@vision-queue/process'
import type { JobClient } from '@vision-queue/queue/producer'
import { z } from 'zod'

import type { ApiHandler } from '../api-env.ts'
import { maxWaitSeconds } from '../config.ts'
import { parseRequest } from '../expectation.ts'
import { jobIdFromPath, jobNotFound, jobResponse } from '../doors/native/job-response.ts'
import { jsonResponse } from '../doors/native/json-response.ts'
import { filledQuery } from '../doors/native/query.ts'
import { booleanOfText, numberOfText } from '../intake/typed-text.ts'
import { openWaitSignal } from './wait-signal.ts'

const seconds = 'a number of seconds, such as 30, or true for as long as is waited at most'

/** The query of `GET /jobs/{id}`. Longer than is waited at most is cut to that, as with `Prefer: wait`. */
export const getJobQuerySchema = z.object({
  wait: z
    .string()
    .transform((text, context) => {
      const switched = booleanOfText(text)
      const wanted = numberOfText(text) ?? (switched === null ? null : switched ? maxWaitSeconds : 0)
      if (wanted !== null && wanted >= 0) return Math.min(wanted, maxWaitSeconds)
      context.addIssue(seconds)
      return z.NEVER
    })
    .optional(),
})

/** `GET /jobs/{id}`: the job as it is; with `?wait=N` once it is final, or as it is after N seconds. */
export function getJob({ jobs, closing }: { jobs: JobClient; closing: JobSignal }): ApiHandler {
  return async (c) => {
    const id = jobIdFromPath(c.req.param('id'))
    const { wait = 0 } = parseRequest(getJobQuerySchema, filledQuery(c, Object.keys(getJobQuerySchema.shape)))
    const waiting = openWaitSignal(c.env, closing)
    try {
      const own = jobs.of(c.get('caller').owner)
      const job = wait === 0 ? await own.read(id) : await own.waitFor(id, wait * 1000, waiting.signal)
      if (job === null) throw jobNotFound()
      return jsonResponse(jobResponse(job, c.get('addressOf')), 200)
    } finally {
      waiting.release()
    }
  }
}
