import { type FinalStatus, isFinal, type Job } from '@vision-queue/protocol'

import type { Accepted, BlobBytes, JobClient } from '../producer/job-client.ts'
import type { QueuedJob } from '../queued-job.ts'
import { createMemoryClaims } from './memory-claims.ts'
import { memoryJobsOf } from './memory-owned-jobs.ts'
import { createMemoryStore } from './memory-store.ts'

/** A queue in this process' memory, without bounds. Its consumer is whoever calls `run`, `say` and `finish`. */
export interface MemoryJobs extends JobClient {
  /** `image`: the bytes of the first of its images, if any came with it; all of them are in `blobs`. */
  submitted: { job: QueuedJob; image: Uint8Array | null; blobs: BlobBytes }[]
  run: (id: string) => void
  /** The answer's whole text so far, as an engine tells it. */
  say: (id: string, text: string) => void
  finish: (id: string, status?: FinalStatus, output?: Job['output']) => void
  /** While true every call rejects, as when Redis is away. */
  down: boolean
  /** How Redis drops keys; null: not at all. */
  eviction: string | null
  /** Where set, submissions reject with it. */
  refusal: Error | null
  /** How many listen to jobs at present: open event streams and waits. */
  openWatches: () => number
  /** How often a write was tried. */
  probes: number
}

const redAnswer = { answers: [{ answer: 'red', score: 0.9 }] }

/** What it tells of the Redis that it is not. */
const someRedis = {
  node: '',
  answerMs: 2,
  usedBytes: 1000,
  maxBytes: 2000,
  clients: 3,
  appendOnlyOk: true,
  snapshotOk: false,
}

export function openMemoryJobs(): MemoryJobs {
  const store = createMemoryStore()
  const claims = createMemoryClaims(async (id, owner) => store.find(id, owner)?.job ?? null)
  const submit: JobClient['submit'] = async (job, blobs, { claim = null } = {}) => {
    store.assertUp()
    if (memory.refusal !== null) throw memory.refusal
    await claim?.send()
    memory.submitted.push({ job, image: [...blobs.values()][0] ?? null, blobs })
    const accepted: Accepted = { queuePosition: store.jobs.size, job: store.add(job), answeredFrom: null }
    await claim?.accept(accepted.job)
    return accepted
  }
  const unfinished = (model: string): Job[] =>
    [...store.jobs.values()].map(({ job }) => job).filter((job) => job.model === model && !isFinal(job.status))
  const memory: MemoryJobs = {
    submitted: [],
    eviction: null,
    refusal: null,
    probes: 0,
    get down() {
      return store.down
    },
    set down(down) {
      store.down = down
    },
    run: store.run,
    say: store.say,
    finish: (id, status = 'succeeded', output = redAnswer) =>
      store.finish(id, status, status === 'succeeded' ? output : null),
    openWatches: store.openListeners,
    submit,
    async submitAndWait(job, blobs, { timeoutMs, signal, ...options }) {
      const accepted = await memory.submit(job, blobs, options)
      const waited = await memory
        .of(job.owner)
        .waitFor(job.id, timeoutMs, signal)
        .catch(() => null)
      return { ...accepted, job: waited ?? accepted.job }
    },
    async claim(request) {
      store.assertUp()
      return claims.claim(request)
    },
    of: (owner) => memoryJobsOf(store, owner),
    async purge(model) {
      store.assertUp()
      const waiting = unfinished(model).filter(({ status }) => status === 'queued')
      for (const { id } of waiting) store.finish(id, 'canceled', null)
      return waiting.length
    },
    async ping() {
      store.assertUp()
    },
    async probeWrite() {
      store.assertUp()
      memory.probes += 1
      if (memory.refusal !== null) throw memory.refusal
    },
    async evictionPolicy() {
      store.assertUp()
      return memory.eviction
    },
    async depth(model) {
      store.assertUp()
      return { jobs: unfinished(model).length, bytes: unfinished(model).length * 100 }
    },
    async backlog(model) {
      store.assertUp()
      return backlogOf(unfinished(model))
    },
    async redisFigures() {
      store.assertUp()
      return [someRedis]
    },
    async close() {
      store.close()
    },
  }
  return memory
}

function backlogOf(jobs: Job[]): { waiting: number; running: number; oldestWaitingMs: number } {
  const waiting = jobs.filter(({ status }) => status === 'queued').length
  return { waiting, running: jobs.length - waiting, oldestWaitingMs: waiting === 0 ? 0 : 3000 }
}
