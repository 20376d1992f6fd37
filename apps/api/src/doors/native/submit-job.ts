import type { Context } from 'hono'

import type { ApiEnv, ApiHandler } from '../../api-env.ts'
import type { ApiSettings } from '../../config.ts'
import type { BodyBudget } from '../../guard/body-budget.ts'
import { parseIdempotencyKey } from '../../intake/idempotency.ts'
import type { Intake } from '../../intake/intake.ts'
import type { Submission } from '../../intake/submission.ts'
import { acceptedResponse } from './accepted-response.ts'
import { callerOf } from './caller-of.ts'
import { preferredWaitSeconds } from './prefer.ts'
import { readSubmission } from './read-submission.ts'

interface Options {
  intake: Intake
  bodyBudget: BodyBudget
  settings: ApiSettings
}

/** `POST /jobs`: 202 with the accepted job, or with `Prefer: wait` 200 with the final one where that comes in time. */
export function submitJob({ intake, bodyBudget, settings }: Options): ApiHandler {
  const limits = {
    bodyBudget,
    maxBodyBytes: settings.MAX_BODY_BYTES,
    bodyTimeoutMs: settings.BODY_TIMEOUT_MS,
    maxImageBytes: settings.MAX_IMAGE_BYTES,
    maxInputBytes: settings.MAX_INPUT_BYTES,
    fetchesImages: settings.IMAGE_URLS !== 'off',
    assertModelIsKnown: intake.assertModelIsKnown,
  }
  const read = async (c: Context<ApiEnv>, waitSeconds: number | null): Promise<Submission> => {
    const idempotencyKey = parseIdempotencyKey(c.req.header('idempotency-key'))
    const question = await readSubmission(c, limits)
    return { kind: 'question', question, idempotencyKey, waitMs: waitSeconds === null ? null : waitSeconds * 1000 }
  }
  return async (c) => {
    const startedAt = performance.now()
    const waitSeconds = preferredWaitSeconds(c.req.header('prefer'))
    const accepted = await intake.submit(read(c, waitSeconds), callerOf(c))
    const headers = {
      'Server-Timing': `total;dur=${(performance.now() - startedAt).toFixed(1)}`,
      ...(waitSeconds === null ? {} : { 'Preference-Applied': `wait=${waitSeconds}` }),
    }
    return acceptedResponse(c, accepted, { headers, waited: waitSeconds !== null })
  }
}
