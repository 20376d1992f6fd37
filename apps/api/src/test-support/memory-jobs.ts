import { type FinalStatus, isFinal, type Job, VisionQueueError } from '@vision-queue/protocol'
import { type QueuedJob, unfinishedJob } from '@vision-queue/queue'
import { type BlobBytes, type JobClient, newJobId } from '@vision-queue/queue/producer'

/** A queue in this process' memory, whose consumer is the test. */
export interface MemoryJobs extends JobClient {
  /** `image`: the bytes of the first of its images, if any came with it; all of them are in `blobs`. */
  submitted: { job: QueuedJob; image: Uint8Array | null; blobs: BlobBytes }[]
  run: (id: string) => void
  /** The answer's text so far, as a consumer tells it. */
  say: (id: string, text: string) => void
  finish: (id: string, status?: FinalStatus, output?: Job['output']) => void
  /** While true every call rejects, as when Redis is away. */
  down: boolean
  /** How Redis drops keys; null: not at all. */
  eviction: string | null
  /** Where set, submissions reject with it. */
  refusal: Error | null
  openWatches: () => number
  /** How often a write was tried. */
  probes: number
}

export function openMemoryJobs(): MemoryJobs {
  const jobs = new Map<string, Job>()
  const listeners = new Set<{ id: string; hear: (job: Job) => void; hearText: ((text: string) => void) | undefined }>()
  const up = (): void => {
    if (memory.down) throw new VisionQueueError('queue_unavailable', 'The queue is away.', { retryAfterMs: 1000 })
  }
  const change = (id: string, changes: Partial<Job>): void => {
    const job = jobs.get(id)
    if (job === undefined) throw new Error(`no job ${id}`)
    const changed = { ...job, ...changes }
    jobs.set(id, changed)
    for (const listener of listeners) if (listener.id === id) listener.hear(changed)
  }
  const watch: JobClient['watch'] = async (id, hear, hearText, mayRead) => {
    up()
    const job = jobs.get(id)
    if (job === undefined || mayRead?.(job) === false) return null
    const listener = { id, hear, hearText }
    listeners.add(listener)
    hear(job)
    return { close: () => void listeners.delete(listener) }
  }

  const keys = new Map<string, { digest: string; id: string }>()
  const memory: MemoryJobs = {
    submitted: [],
    down: false,
    eviction: null,
    refusal: null,
    probes: 0,
    async submit(job, blobs) {
      up()
      if (memory.refusal !== null) throw memory.refusal
      memory.submitted.push({ job, image: [...blobs.values()][0] ?? null, blobs })
      jobs.set(job.id, unfinishedJob(job, null, 0))
      return { queuePosition: jobs.size - 1, job: unfinishedJob(job, null, 0), answeredFrom: null }
    },
    async submitAndWait(job, blobs, { timeoutMs, signal }) {
      const accepted = await memory.submit(job, blobs)
      const waited = await memory.waitFor(job.id, timeoutMs, signal).catch(() => null)
      return { ...accepted, job: waited ?? unfinishedJob(job, null, 0) }
    },
    async claim({ owner, key, digest }) {
      up()
      const name = JSON.stringify([owner, key])
      const held = keys.get(name)
      const job = held === undefined ? undefined : jobs.get(held.id)
      if (held !== undefined && held.digest !== digest) {
        throw new VisionQueueError('idempotency_conflict', 'The key was used for something else.')
      }
      if (job !== undefined) return { kind: 'known', job }
      const id = newJobId()
      keys.set(name, { digest, id })
      const release = async (): Promise<void> => void keys.delete(name)
      return { kind: 'claimed', claim: { id, keyHash: key, async send() {}, async accept() {}, release } }
    },
    async read(id, mayRead = () => true) {
      up()
      const job = jobs.get(id)
      return job === undefined || !mayRead(job) ? null : job
    },
    watch,
    async waitFor(id, timeoutMs, signal, mayRead) {
      let end = (): void => {}
      const ended = new Promise<void>((resolve) => {
        end = resolve
      })
      const timer = setTimeout(end, timeoutMs)
      signal?.addEventListener('abort', end)
      if (signal?.aborted === true) end()
      const hear = (job: Job): void => {
        if (isFinal(job.status)) end()
      }
      const watching = await watch(id, hear, undefined, mayRead)
      if (watching !== null) await ended
      clearTimeout(timer)
      if (watching === null) return null
      watching.close()
      return jobs.get(id) ?? null
    },
    async cancel(id, mayRead = () => true) {
      up()
      const job = jobs.get(id)
      if (job !== undefined && !mayRead(job)) return null
      if (job !== undefined && !isFinal(job.status)) memory.finish(id, 'canceled')
      return jobs.get(id) ?? null
    },
    async list({ status, model, cursor, limit }) {
      up()
      const newest = [...jobs.values()].toReversed()
      const from = cursor === null ? 0 : newest.findIndex(({ id }) => id === cursor.id) + 1
      const fitting = newest
        .slice(from)
        .filter((job) => (status === null || job.status === status) && (model === null || job.model === model))
      const last = fitting[limit - 1]
      const next = last === undefined ? null : { at: Date.parse(last.created_at), id: last.id }
      return { jobs: fitting.slice(0, limit), next }
    },
    async purge(model) {
      up()
      const waiting = [...jobs.values()].filter((job) => job.model === model && job.status === 'queued')
      for (const { id } of waiting) memory.finish(id, 'canceled')
      return waiting.length
    },
    async readForRetry(id, mayRead = () => true) {
      up()
      const final = jobs.get(id)
      if (final === undefined || !mayRead(final)) return null
      const kept = memory.submitted.find(({ job }) => job.id === id)
      if (kept === undefined || !isFinal(final.status) || final.status === 'succeeded') {
        throw new VisionQueueError('job_not_retryable', 'The job is not for another try.')
      }
      return kept.job
    },
    async evictionPolicy() {
      up()
      return memory.eviction
    },
    async probeWrite() {
      up()
      memory.probes += 1
      if (memory.refusal !== null) throw memory.refusal
    },
    async ping() {
      up()
    },
    async depth(model) {
      up()
      const unfinished = [...jobs.values()].filter((job) => job.model === model && !isFinal(job.status))
      return { jobs: unfinished.length, bytes: unfinished.length * 100 }
    },
    async close() {},
    run: (id) => change(id, { status: 'running', started_at: new Date().toISOString(), attempts: 1 }),
    say(id, text) {
      for (const listener of listeners) if (listener.id === id) listener.hearText?.(text)
    },
    finish: (id, status = 'succeeded', output = { answers: [{ answer: 'red', score: 0.9 }] }) =>
      change(id, {
        status,
        output: status === 'succeeded' ? output : null,
        completed_at: new Date().toISOString(),
      }),
    openWatches: () => listeners.size,
  }
  return memory
}
