import {
  type ModelManifest,
  type ModelStats,
  type ModelStatus,
  noModelStats,
  toVisionQueueError,
} from '@vision-queue/jobs'
import type { EnginePool } from '@vision-queue/model-runtime'

/** What is to be loaded. */
export interface LoadTarget {
  folder: string
  /** Names the state of the files and the last reload that was asked for: another key is loaded anew. */
  key: string
  /** Names the last load that was asked for: a failure is tried again when the key or this changes. */
  attempt: string
}

/**
 * One version of a model in this process:
 *
 *   unloaded --want--> loading --ready--> ready --want(another key)--> ready, and loading beside it
 *   loading --failure--> failed, or ready still with what was there;   any --drop--> unloaded
 *
 * What is replaced or dropped finishes the jobs it has taken, and is closed then.
 */
export interface VersionSlot {
  readonly version: string
  readonly status: ModelStatus
  readonly error: string | null
  /** The last one that was ready. */
  readonly manifest: ModelManifest | null
  /** All pools, those that finish their last jobs too. */
  readonly pools: readonly EnginePool[]
  /** Engines of the pool that takes jobs. */
  readonly engines: number
  /** Runs a job on what is ready now; null where nothing is. To be called at once, not kept. */
  readonly run: EnginePool['run'] | null
  /** Whether this very target has failed. */
  hasFailed(target: Pick<LoadTarget, 'key' | 'attempt'>): boolean
  want(target: LoadTarget): void
  /** It can't be loaded at all, such as for want of a folder. */
  refuse(sentence: string): void
  drop(): void
  stats(): Omit<ModelStats, 'jobs'>
}

interface OpenPool {
  pool: EnginePool
  key: string
  inFlight: number
  retired: boolean
}

export function createVersionSlot({
  version,
  openPool,
  drainMs,
  onChange,
}: {
  version: string
  openPool: (folder: string) => EnginePool
  /** How long a pool that was replaced may take for its last jobs; what is left then goes back to the queue. */
  drainMs: number
  onChange: (outcome: 'ready' | 'failed') => void
}): VersionSlot {
  let current: OpenPool | null = null
  let loading: OpenPool | null = null
  let failure: { key: string; attempt: string; sentence: string } | null = null
  let manifest: ModelManifest | null = null
  const open = new Set<EnginePool>()

  const close = (pool: EnginePool): void => {
    // A pool's close does not reject.
    void pool.close({ deadlineMs: 0 }).finally(() => open.delete(pool))
  }
  const retire = (entry: OpenPool | null): void => {
    if (entry === null) return
    entry.retired = true
    if (entry.inFlight === 0) return close(entry.pool)
    setTimeout(() => close(entry.pool), drainMs).unref()
  }
  const stopLoading = (): void => {
    if (loading !== null) close(loading.pool)
    loading = null
  }
  const leased =
    (entry: OpenPool): EnginePool['run'] =>
    async (...request) => {
      entry.inFlight += 1
      try {
        return await entry.pool.run(...request)
      } finally {
        entry.inFlight -= 1
        if (entry.retired && entry.inFlight === 0) close(entry.pool)
      }
    }

  const hasFailed: VersionSlot['hasFailed'] = ({ key, attempt }) => failure?.key === key && failure.attempt === attempt

  const settle = async (entry: OpenPool, target: LoadTarget): Promise<void> => {
    try {
      const announced = await entry.pool.ready
      if (loading !== entry) return
      manifest = announced
    } catch (error) {
      if (loading !== entry) return
      loading = null
      const { detail } = toVisionQueueError(error, 'model_unavailable')
      // The sentence is public; where the repository lies is not.
      failure = { ...target, sentence: detail.replaceAll(target.folder, version) }
      close(entry.pool)
      return onChange('failed')
    }
    const replaced = current
    current = entry
    loading = null
    retire(replaced)
    onChange('ready')
  }

  return {
    version,
    get status() {
      if (current !== null) return 'ready'
      if (loading !== null) return 'loading'
      return failure === null ? 'unloaded' : 'failed'
    },
    get error() {
      return failure?.sentence ?? null
    },
    get manifest() {
      return manifest
    },
    get pools() {
      return [...open]
    },
    get engines() {
      return current?.pool.engines ?? 0
    },
    get run() {
      return current === null ? null : leased(current)
    },
    hasFailed,
    want(target) {
      if (current?.key === target.key) {
        stopLoading()
        failure = null
        return
      }
      if (loading?.key === target.key || hasFailed(target)) return
      stopLoading()
      failure = null
      const pool = openPool(target.folder)
      const entry: OpenPool = { pool, key: target.key, inFlight: 0, retired: false }
      open.add(pool)
      loading = entry
      void settle(entry, target)
    },
    refuse(sentence) {
      stopLoading()
      failure = { key: '', attempt: '', sentence }
    },
    drop() {
      stopLoading()
      retire(current)
      current = null
      failure = null
    },
    stats: () => current?.pool.stats() ?? noModelStats,
  }
}
