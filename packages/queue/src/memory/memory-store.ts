import { type FinalStatus, isFinal, type Job, VisionQueueError } from '@vision-queue/protocol'

import { finalJob, unfinishedJob } from '../job-forms.ts'
import type { JobChange } from '../job-change.ts'
import type { Heard, JobChannels } from '../producer/job-channels.ts'
import type { QueuedJob } from '../queued-job.ts'
import type { LoggedText } from '../text-log.ts'
import { createGrowingText, type GrowingText } from '../worker/growing-text.ts'

/** A job and what became of it. */
export interface StoredJob {
  queued: QueuedJob
  job: Job
  text: GrowingText
  log: LoggedText | null
}

/** The jobs of a queue in memory, and who listens to them. */
export interface MemoryStore {
  jobs: Map<string, StoredJob>
  /** While true every call rejects, as when Redis is away. */
  down: boolean
  /** Throws while the queue is down. */
  assertUp(): void
  add(queued: QueuedJob): Job
  /** Null if the owner has no such job. */
  find(id: string, owner: string | null): StoredJob | null
  listen: JobChannels['listen']
  openListeners(): number
  run(id: string): void
  /** The whole text so far. */
  say(id: string, text: string): void
  /** Does nothing if the job is final already: its first final state stays. */
  finish(id: string, status: FinalStatus, output: Job['output']): void
  close(): void
}

const resultTtlMs = 3_600_000

export function createMemoryStore(): MemoryStore {
  const jobs = new Map<string, StoredJob>()
  const listeners = new Map<string, Set<(heard: Heard) => void>>()
  const known = (id: string): StoredJob => {
    const stored = jobs.get(id)
    if (stored === undefined) throw new Error(`no job ${id}`)
    return stored
  }
  const tell = (id: string, change: JobChange): void => {
    for (const listener of listeners.get(id) ?? []) listener(change)
  }
  const store: MemoryStore = {
    jobs,
    down: false,
    assertUp() {
      if (store.down) throw new VisionQueueError('queue_unavailable', 'The queue is away.', { retryAfterMs: 1000 })
    },
    add(queued) {
      const job = unfinishedJob(queued, null, 0)
      jobs.set(queued.id, { queued, job, text: createGrowingText(), log: null })
      return job
    },
    find(id, owner) {
      store.assertUp()
      const stored = jobs.get(id)
      return stored === undefined || stored.job.owner !== owner ? null : stored
    },
    async listen(id, _via, listener) {
      store.assertUp()
      const those = listeners.get(id) ?? new Set()
      listeners.set(id, those.add(listener))
      return () => {
        those.delete(listener)
        if (those.size === 0 && listeners.get(id) === those) listeners.delete(id)
      }
    },
    openListeners: () => [...listeners.values()].reduce((sum, those) => sum + those.size, 0),
    run(id) {
      const stored = known(id)
      const [startedAt, attempts] = [Date.now(), 1]
      stored.job = unfinishedJob(stored.queued, startedAt, attempts)
      tell(id, { kind: 'running', startedAt, attempts })
    },
    say(id, text) {
      const stored = known(id)
      stored.text.add({ index: 0, text })
      const piece = stored.text.take()
      if (piece === null) return
      stored.log ??= { run: 'memory', pieces: [] }
      const { run, pieces } = stored.log
      pieces.push(piece)
      tell(id, { kind: 'piece', run, number: pieces.length - 1, ...piece })
    },
    finish(id, status, output) {
      const stored = known(id)
      if (isFinal(stored.job.status)) return
      const { attempts, started_at: started } = stored.job
      const startedAt = started === null ? null : Date.parse(started)
      const final = finalJob(stored.queued, { status, output, attempts, startedAt }, resultTtlMs)
      stored.job = final
      tell(id, { kind: 'final', job: final })
    },
    close() {
      for (const those of listeners.values()) for (const listener of those) listener({ kind: 'closed' })
      listeners.clear()
    },
  }
  return store
}
