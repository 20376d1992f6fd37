import { isFinal } from '@vision-queue/protocol'
import type { Context } from 'hono'

import type { ApiEnv } from '../../api-env.ts'
import type { Accepted } from '../../intake/submission.ts'
import { jobResponse } from './job-response.ts'
import { jsonResponse } from './json-response.ts'

/** Tells that the answer is an earlier request's, as Stripe's API does. */
export const replayedHeader = { 'Idempotent-Replayed': 'true' } as const

/** The answer to a submission. Who did not ask to wait is told where the job is, be it final already. */
export function acceptedResponse(
  c: Context<ApiEnv>,
  { job, turn, replayed }: Accepted,
  { headers = {}, waited = false }: { headers?: Record<string, string>; waited?: boolean } = {},
): Response {
  // For the log line of the request.
  c.set('jobId', job.id)
  const all = { ...(replayed ? replayedHeader : {}), ...headers }
  if (waited && isFinal(job.status)) return jsonResponse(jobResponse(job, c.get('addressOf')), 200, all)
  const response = jobResponse(job, c.get('addressOf'), turn)
  return jsonResponse(response, 202, { ...all, Location: response.urls.self })
}
