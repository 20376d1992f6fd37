import type { Context } from 'hono'

import type { ApiEnv, ApiHandler } from '../../api-env.ts'
import { parseIdempotencyKey } from '../../intake/idempotency.ts'
import type { Intake } from '../../intake/intake.ts'
import type { Submission } from '../../intake/submission.ts'
import { acceptedResponse } from './accepted-response.ts'
import { callerOf } from './caller-of.ts'
import { jobIdFromPath } from './job-response.ts'

/**
 * `POST /jobs/{id}/retry`: 202 with a new job that asks what the old one asked, and names it in `retry_of`. Its
 * deadline, where there is one, is as far away as the old one's was.
 */
export function retryJob(intake: Intake): ApiHandler {
  const read = async (c: Context<ApiEnv>): Promise<Submission> => ({
    kind: 'retry',
    jobId: jobIdFromPath(c.req.param('id')),
    idempotencyKey: parseIdempotencyKey(c.req.header('idempotency-key')),
    waitMs: null,
  })
  return async (c) => acceptedResponse(c, await intake.submit(read(c), callerOf(c)))
}
