import { type Job, jobIdSchema, type JobResponse, VisionQueueError } from '@vision-queue/protocol'

import type { AddressOf } from '../../addresses.ts'

/** What is known of a fresh job's turn. */
export interface Turn {
  /** Jobs accepted before it. */
  queuePosition: number
  /** In how many milliseconds it will be done; null where nobody knows yet. */
  etaMs: number | null
}

/** The job as it is answered: without its owner, with its addresses, and where it is fresh, with its turn. */
export function jobResponse(job: Job, addressOf: AddressOf, turn?: Turn): JobResponse {
  const { owner: _owner, ...shown } = job
  const self = addressOf(`/jobs/${job.id}`)
  return {
    ...shown,
    ...(turn === undefined ? {} : { queue_position: turn.queuePosition }),
    ...(turn === undefined || turn.etaMs === null ? {} : { eta_ms: turn.etaMs }),
    urls: { self, events: `${self}/events`, cancel: `${self}/cancel` },
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
