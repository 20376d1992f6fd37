import { isFinal, VisionQueueError } from '@vision-queue/protocol'

import { openJobEvents } from '../producer/job-events.ts'
import type { OwnedJobs } from '../producer/owned-jobs.ts'
import { untilFinal } from '../producer/until-final.ts'
import type { MemoryStore } from './memory-store.ts'

/** One owner's jobs in memory. */
export function memoryJobsOf(store: MemoryStore, owner: string | null): OwnedJobs {
  const sources = {
    listen: store.listen,
    read: async (id: string) => store.find(id, owner)?.job ?? null,
    readText: async (id: string) => store.find(id, owner)?.log ?? null,
    log: { info() {}, warn() {}, error() {} },
  }
  const events: OwnedJobs['events'] = (id, options) => openJobEvents(sources, { id, owner }, options)
  return {
    events,
    read: sources.read,
    waitFor: async (id, timeoutMs, signal) =>
      untilFinal((end) => events(id, { signal: end, deltas: false }), timeoutMs, signal),
    async cancel(id) {
      const stored = store.find(id, owner)
      if (stored !== null) store.finish(id, 'canceled', null)
      return stored?.job ?? null
    },
    async readForRetry(id) {
      const stored = store.find(id, owner)
      if (stored === null) return null
      if (!isFinal(stored.job.status) || stored.job.status === 'succeeded') {
        throw new VisionQueueError('job_not_retryable', 'The job has succeeded, or has not ended yet.')
      }
      return stored.queued
    },
    async list({ status, model, cursor, limit }) {
      store.assertUp()
      const newest = [...store.jobs.values()].map(({ job }) => job).toReversed()
      const from = cursor === null ? 0 : newest.findIndex(({ id }) => id === cursor.id) + 1
      const fitting = newest
        .slice(from)
        .filter((job) => job.owner === owner)
        .filter((job) => (status === null || job.status === status) && (model === null || job.model === model))
      const last = fitting[limit - 1]
      const next = last === undefined ? null : { at: Date.parse(last.created_at), id: last.id }
      return { jobs: fitting.slice(0, limit), next }
    },
  }
}
