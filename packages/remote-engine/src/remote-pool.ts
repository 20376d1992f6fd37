import { availableParallelism } from 'node:os'

import { type EnginePool, HandedBackError } from '@vision-queue/engine-pool'
import { countJob, jobsPerSecond, type RuntimeLog } from '@vision-queue/engine-pool/figures'
import { createDeferred } from '@vision-queue/process'
import type { ModelManifest, ModelStats } from '@vision-queue/protocol'

import { countJobs, enterJob, handBack, newRemoteJobs, type RemoteJobs, settle, waitingJobs } from './remote-jobs.ts'
import type { RemoteServer } from './remote-server.ts'
import { newSendWindow, type SendWindow } from './send-window.ts'
import { createSending, type Counted, newCounted } from './sending.ts'
import { type ServerState, type ServerWatch, watchServer } from './server-watch.ts'

export interface RemotePoolOptions {
  server: RemoteServer
  name: string
  version: string
  /** The most jobs of each priority that are at the server at once. */
  maxInFlight: number
  /** The longest pause before a server that could not take jobs is asked again. */
  longestPauseMs: number
  log: RuntimeLog
  onLaunch?: ((ids: readonly string[]) => void) | undefined
  onTrouble?: (() => void) | undefined
}

/** So many looks that failed in a row, and jobs are handed back: another consumer may reach a server. */
const lostAfterTries = 3

/**
 * A pool whose one engine is a server elsewhere. Jobs wait here until the server has room, the most urgent first; how many
 * it has at once follows its answers (send-window.ts). One that it has no room for, or did not hear of, waits again and
 * nothing is known of it; one whose answer is broken off fails as `model_unavailable`, which may be tried again. While
 * the server can't be reached jobs wait as for engines that are started again, and are handed back where that lasts.
 */
export function createRemotePool(options: RemotePoolOptions): EnginePool {
  const jobs = newRemoteJobs()
  const counted = newCounted()
  const window = newSendWindow(options.maxInFlight)
  const ready = createDeferred<ModelManifest>()
  // A caller who only ever calls run() learns of it there.
  ready.promise.catch(() => {})
  let closedBy: Error | null = null
  let closing: { done: Promise<void>; hurry: () => void } | null = null

  const { advance, stop } = createSending({ ...options, jobs, window, counted, watch: () => watch })
  const watch = watchServer({
    server: options.server,
    longestPauseMs: options.longestPauseMs,
    onChange: followServer({ ...options, jobs, ready, advance, watch: () => watch }),
  })

  const close = (): NonNullable<typeof closing> => {
    closedBy ??= new HandedBackError()
    watch.close()
    stop()
    ready.reject(new HandedBackError())
    handBack(jobs, waitingJobs(jobs))
    const hurried = createDeferred<void>()
    const ends = [...jobs.there].map(async ({ answer }) => answer.promise.catch(() => {}))
    const end = async (): Promise<void> => {
      await Promise.race([Promise.all(ends), hurried.promise])
      handBack(jobs, [...jobs.there])
      await options.server.close()
    }
    return { done: end(), hurry: () => hurried.resolve(undefined) }
  }

  return {
    ready: ready.promise,
    readsImages: false,
    async run({ signal, ...request }) {
      const refusal = closedBy ?? watch.state.refusal ?? (isLost(watch.state) ? new HandedBackError() : null)
      if (refusal !== null) throw refusal
      if (signal?.aborted === true) throw signal.reason
      const job = enterJob(jobs, request)
      const onAbort = (): void => {
        if (!settle(jobs, job)) return
        countJob(counted.figures, 'canceled')
        job.answer.reject(signal?.reason)
        job.unwanted.abort()
      }
      signal?.addEventListener('abort', onAbort)
      advance()
      try {
        return await job.answer.promise
      } finally {
        signal?.removeEventListener('abort', onAbort)
      }
    },
    engines: 1,
    get enginesUp() {
      return watch.state.isUp && closedBy === null ? 1 : 0
    },
    get trouble() {
      const { failure } = watch.state
      return failure === null ? null : { detail: failure.detail, retryAt: failure.retryAt, lost: isLost(watch.state) }
    },
    // There are no steps of loading to tell of.
    loading: null,
    get inFlight() {
      return countJobs(jobs)
    },
    pids: [],
    stats: () => statsOf(counted, window, watch.state),
    cpuSeconds: () => 0,
    async close({ deadlineMs }) {
      closing ??= close()
      const timer = setTimeout(closing.hurry, deadlineMs)
      await closing.done
      clearTimeout(timer)
    },
  }
}

function isLost({ failure }: ServerState): boolean {
  return failure !== null && failure.tries >= lostAfterTries
}

interface Following extends Pick<RemotePoolOptions, 'name' | 'version' | 'log' | 'onTrouble'> {
  jobs: RemoteJobs
  ready: ReturnType<typeof createDeferred<ModelManifest>>
  advance: () => void
  watch: () => ServerWatch
}

/** What is done after each look at the server. */
function followServer({ jobs, ready, advance, onTrouble, watch, name, version, log }: Following): () => void {
  let told: ServerState['failure'] = null
  return () => {
    const { state } = watch()
    if (state.refusal !== null) {
      ready.reject(state.refusal)
      for (const job of waitingJobs(jobs)) if (settle(jobs, job)) job.answer.reject(state.refusal)
      return
    }
    if (state.manifest !== null) ready.resolve(state.manifest)
    if (state.failure !== told) {
      const fields = { model: name, version }
      if (told === null) log.warn({ ...fields, why: state.failure?.detail }, 'The server of a model takes no jobs')
      else if (state.failure === null) log.info(fields, 'The server of a model takes jobs again')
      told = state.failure
      onTrouble?.()
    }
    if (isLost(state)) handBack(jobs, waitingJobs(jobs))
    advance()
  }
}

function statsOf({ figures, capacity, refused }: Counted, window: SendWindow, state: ServerState): ModelStats {
  const each = <T>(read: (band: SendWindow['bands']['high']) => T) => ({
    high: read(window.bands.high),
    normal: read(window.bands.normal),
    low: read(window.bands.low),
  })
  return {
    ...structuredClone(figures),
    engineRestarts: state.triedAgain,
    cost: null,
    capacity: jobsPerSecond(capacity, { cost: null, engines: 1, cores: availableParallelism() }),
    remote: {
      window: each((band) => Math.floor(band.window)),
      inFlight: each((band) => band.inFlight),
      refused,
    },
  }
}
