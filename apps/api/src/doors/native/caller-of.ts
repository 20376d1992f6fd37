import type { Context } from 'hono'

import type { ApiEnv } from '../../api-env.ts'
import { openWaitSignal } from '../../delivery/wait-signal.ts'
import type { Caller } from '../../intake/submission.ts'

/** Who sent a request, as the intake knows callers. */
export function callerOf(c: Context<ApiEnv>): Caller {
  const { owner, quota } = c.get('caller')
  return { owner, quota, context: c.get('requestContext'), watch: (closing) => openWaitSignal(c.env, closing) }
}
