import { VisionQueueError } from '@vision-queue/protocol'

import type { ApiMiddleware } from '../api-env.ts'

/** For the other routes that change something: a key is refused, since nothing is remembered of their requests. */
export const refuseIdempotencyKey: ApiMiddleware = async (c, next) => {
  if (c.req.header('idempotency-key') !== undefined) {
    const detail =
      'Idempotency-Key is for POST /jobs, POST /jobs/{id}/retry and POST /v1/chat/completions. This request does the same if it is sent again without one.'
    throw new VisionQueueError('invalid_request', detail)
  }
  await next()
}
