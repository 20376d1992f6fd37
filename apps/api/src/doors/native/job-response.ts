import { type Job, jobIdSchema, type JobResponse } from '@vision-queue/protocol'

import type { AddressOf } from '../../addresses.ts'
import { jobNotFound } from '../../intake/not-found.ts'
import type { Turn } from '../../intake/submission.ts'

export { jobNotFound }

/** The job as it is answered: without its owner, with its addresses, and where it is fresh, with its turn. */
export function jobResponse(job: Job, addressOf: AddressOf, turn: Turn | null = null): JobResponse {
  const { owner: _owner, ...shown } = job
  const self = addressOf(`/jobs/${job.id}`)
  return {
    ...shown,
    ...(turn === null ? {} : { queue_position: turn.queuePosition }),
    ...(turn === null || turn.etaMs === null ? {} : { eta_ms: turn.etaMs }),
    urls: { self, events: `${self}/events`, cancel: `${self}/cancel` },
  }
}

/** The id in a path. One that can't be an id of ours is answered like one that isn't known: 404. */
export function jobIdFromPath(id: string | undefined): string {
  const parsed = jobIdSchema.safeParse(id)
  if (!parsed.success) throw jobNotFound()
  return parsed.data
}
