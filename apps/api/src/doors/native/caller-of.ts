import type { Context } from 'hono'

import type { ApiEnv } from '../../api-env.ts'
import { openWaitSignal } from '../../delivery/wait-signal.ts'
import type { Caller } from '../../intake/submission.ts'

/** Who sent a request, as the intake knows callers. */
export function callerOf(c: Context<ApiEnv>): Caller {
  const { owner, quota } = c.get('caller')
  const context = { requestId: c.get('requestId'), traceparent: null }
  return { owner, quota, context, watch: (closing) => openWaitSignal(c.env, closing) }
}
