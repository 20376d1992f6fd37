import { type Job, jobIdSchema, type JobResponse, VisionQueueError } from '@vision-queue/jobs'

/** The job as it is answered: with its addresses, and where it is fresh, how many jobs were accepted before it. */
export function jobResponse(job: Job, queuePosition?: number): JobResponse {
  return {
    ...job,
    ...(queuePosition === undefined ? {} : { queue_position: queuePosition }),
    urls: { self: `/jobs/${job.id}`, events: `/jobs/${job.id}/events` },
  }
}

/** The id in a path. One that can't be an id of ours is answered like one that isn't known: 404. */
export function jobIdFromPath(id: string | undefined): string {
  const parsed = jobIdSchema.safeParse(id)
  if (!parsed.success) throw jobNotFound()
  return parsed.data
}

export function jobNotFound(): VisionQueueError {
  return new VisionQueueError('job_not_found', 'No job with this id is known; results are forgotten when they expire.')
}
