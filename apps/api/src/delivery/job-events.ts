import { isFinal, type Job } from '@vision-queue/protocol'
import type { JobClient } from '@vision-queue/queue/producer'

import type { ApiHandler } from '../api-env.ts'
import { jobIdFromPath, jobNotFound } from '../doors/native/job-response.ts'
import { eventIds, openJobEventStream } from './job-event-stream.ts'
import { jobsOf, type OwnedJobs } from './owned-jobs.ts'

const headers = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  // nginx would hold events back until its buffer is full.
  'X-Accel-Buffering': 'no',
}

/** `GET /jobs/{id}/events`: the job as server-sent events, until it is final or somebody hangs up. */
export function jobEvents(options: { jobs: JobClient; closing: AbortSignal; heartbeatMs: number }): ApiHandler {
  const existing = async (jobs: OwnedJobs, id: string): Promise<Job> => {
    const job = await jobs.read(id)
    if (job === null) throw jobNotFound()
    return job
  }
  return async (c) => {
    const id = jobIdFromPath(c.req.param('id'))
    const jobs = jobsOf(options.jobs, c.get('caller').owner)
    const lastEventId = c.req.header('last-event-id') ?? null
    // 204 is what makes an EventSource stop reconnecting.
    if (lastEventId === eventIds.succeeded && isFinal((await existing(jobs, id)).status)) return c.body(null, 204)
    if (c.req.method === 'HEAD') {
      await existing(jobs, id)
      return c.body(null, 200, headers)
    }
    const body = await openJobEventStream({ ...options, jobs, id, lastEventId, addressOf: c.get('addressOf') })
    if (body === null) throw jobNotFound()
    return c.body(body, 200, headers)
  }
}
