import type { JobClient } from '@vision-queue/queue/producer'

import type { ApiHandler } from '../../api-env.ts'
import { jobIdFromPath, jobNotFound, jobResponse } from './job-response.ts'

/** `POST /jobs/{id}/cancel`: the job, canceled, or as it ended before that. */
export function cancelJob(jobs: JobClient): ApiHandler {
  return async (c) => {
    const job = await jobs.of(c.get('caller').owner).cancel(jobIdFromPath(c.req.param('id')))
    if (job === null) throw jobNotFound()
    return c.json(jobResponse(job, c.get('addressOf')), 200, { 'Cache-Control': 'no-store' })
  }
}
