import type { JobSignal } from '@vision-queue/process'
import { isFinal } from '@vision-queue/protocol'
import type { JobClient } from '@vision-queue/queue/producer'

import type { ApiHandler } from '../api-env.ts'
import { jobIdFromPath, jobNotFound } from '../doors/native/job-response.ts'
import { openEventStream } from './event-stream.ts'

const headers = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  // nginx would hold events back until its buffer is full.
  'X-Accel-Buffering': 'no',
}

/** The position of the final event. */
const finalEventId = '3'

/** `GET /jobs/{id}/events`: the job as server-sent events, until it is final or somebody hangs up. */
export function jobEvents(options: { jobs: JobClient; closing: JobSignal; heartbeatMs: number }): ApiHandler {
  return async (c) => {
    const id = jobIdFromPath(c.req.param('id'))
    const jobs = options.jobs.of(c.get('caller').owner)
    const lastEventId = c.req.header('last-event-id') ?? null
    if (lastEventId === finalEventId || c.req.method === 'HEAD') {
      const job = await jobs.read(id)
      if (job === null) throw jobNotFound()
      // 204 is what makes an EventSource stop reconnecting.
      if (lastEventId === finalEventId && isFinal(job.status)) return c.body(null, 204)
      if (c.req.method === 'HEAD') return c.body(null, 200, headers)
    }
    const body = await openEventStream({ ...options, jobs, id, lastEventId, addressOf: c.get('addressOf') })
    return c.body(body, 200, headers)
  }
}
