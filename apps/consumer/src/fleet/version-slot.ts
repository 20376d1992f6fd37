import {
  type ModelManifest,
  type ModelStats,
  type ModelStatus,
  noModelStats,
  toVisionQueueError,
  type VariantDecision,
} from '@vision-queue/protocol'
import type { EnginePool } from '@vision-queue/engine-pool'

import { cantFollow, decidedBy, type DecideVariant, type FleetVariant } from './fleet-variant.ts'

/** What is to be loaded. */
export interface LoadTarget {
  folder: string
  /** Names the state of the files and the last reload that was asked for: another key is loaded anew. */
  key: string
  /** Names the last load that was asked for: a failure is tried again when the key or this changes. */
  attempt: string
}

/** How a pool is to be opened. */
export interface PoolWish {
  folder: string
  /** The variant that the fleet runs; null: as the settings and the machine say. */
  variant: VariantDecision['graph'] | null
  /** To be told when the pool's trouble has changed. */
  onTrouble: () => void
}

/** `following`: the fleet runs another variant than the one that was loaded, which is loaded instead. */
export type SlotEvent = 'ready' | 'failed' | 'trouble' | 'following'

/**
 * One version of a model in this process:
 *
 *   unloaded --want--> loading --ready--> ready --want(another key)--> ready, and loading beside it
 *   loading --refused--> failed, or ready still with what was there;   any --drop--> unloaded
 *   ready --all engines lost--> loading --an engine is back--> ready
 *   ready --the fleet runs another variant--> ready, and that one loading beside it --refused--> failed
 *
 * Engines that die while they load are started again for ever: only files that are refused fail. What is replaced
 * or dropped finishes the jobs it has taken, and is closed then.
 */
export interface VersionSlot {
  readonly version: string
  readonly status: ModelStatus
  readonly error: string | null
  /** When engines that could not be started are tried again, in milliseconds since 1970. */
  readonly retryAt: number | null
  /** Whether nothing of it ever loaded, and its engines die again and again. */
  readonly dying: boolean
  /** Whether it failed because it can't run the variant that the fleet runs: others serve this version. */
  readonly outvoted: boolean
  /** The last one that was ready. */
  readonly manifest: ModelManifest | null
  /** All pools, those that finish their last jobs too. */
  readonly pools: readonly EnginePool[]
  /** Engines of the pool that takes jobs. */
  readonly engines: number
  /** Those of them that can take jobs now. */
  readonly enginesUp: number
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
  target: LoadTarget
  /** What the fleet had decided before it was opened. */
  following: VariantDecision | null
  inFlight: number
  retired: boolean
}

// oxlint-disable-next-line max-lines-per-function -- until the redesign of this room lands
export function createVersionSlot({
  version,
  openPool,
  decideVariant,
  drainMs,
  onChange,
}: {
  version: string
  openPool: (wish: PoolWish) => EnginePool
  decideVariant: DecideVariant
  /** How long a pool that was replaced may take for its last jobs; what is left then goes back to the queue. */
  drainMs: number
  onChange: (event: SlotEvent) => void
}): VersionSlot {
  let current: OpenPool | null = null
  let loading: OpenPool | null = null
  let failure: { key: string; attempt: string; sentence: string; outvoted: boolean } | null = null
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

  const load = (target: LoadTarget, following: VariantDecision | null): void => {
    stopLoading()
    failure = null
    const onTrouble = (): void => {
      if (entry === current || entry === loading) onChange('trouble')
    }
    const pool = openPool({ folder: target.folder, variant: following?.graph ?? null, onTrouble })
    const entry: OpenPool = { pool, target, following, inFlight: 0, retired: false }
    open.add(pool)
    loading = entry
    void settle(entry)
  }

  const settle = async (entry: OpenPool): Promise<void> => {
    try {
      const announced = await entry.pool.ready
      const fleet = entry.following === null ? await decideVariant(announced) : null
      if (loading !== entry) return
      if (fleet !== null && fleet.decision.graph !== announced.choice?.graph) return follow(entry, fleet)
      manifest = decidedBy(announced, fleet?.decision ?? entry.following)
    } catch (error) {
      if (loading !== entry) return
      return fail(entry, toVisionQueueError(error, 'model_unavailable').detail)
    }
    const replaced = current
    current = entry
    loading = null
    retire(replaced)
    onChange('ready')
  }

  const fail = ({ target, following }: Pick<OpenPool, 'target' | 'following'>, detail: string): void => {
    stopLoading()
    // The sentence is public; where the repository lies is not.
    failure = { ...target, sentence: cantFollow(following) + hideFolder(detail, target), outvoted: following !== null }
    if (following !== null) {
      // What it has loaded would give other answers than the rest of the fleet.
      retire(current)
      current = null
    }
    onChange('failed')
  }

  const follow = ({ target }: OpenPool, { decision, obstacle }: FleetVariant): void => {
    if (obstacle !== null) return fail({ target, following: decision }, obstacle)
    load(target, decision)
    onChange('following')
  }

  /** Redis may have lost the fleet's decision, and another consumer made one since. */
  const confirm = async (entry: OpenPool): Promise<void> => {
    const fleet = manifest === null ? null : await decideVariant(manifest)
    if (current !== entry || loading !== null || fleet === null || manifest === null) return
    if (fleet.decision.graph !== manifest.choice?.graph) follow(entry, fleet)
    else if (fleet.decision.at !== manifest.choice.at) manifest = decidedBy(manifest, fleet.decision)
  }

  const hideFolder = (detail: string, { folder }: LoadTarget): string => detail.replaceAll(folder, version)
  const trouble = (): { detail: string; retryAt: number; target: LoadTarget } | null => {
    for (const entry of [loading, current]) {
      if (entry?.pool.trouble != null) return { ...entry.pool.trouble, target: entry.target }
    }
    return null
  }
  const isLost = ({ pool }: OpenPool): boolean => pool.trouble?.lost === true

  return {
    version,
    get status() {
      if (current !== null && !isLost(current)) return 'ready'
      if (current !== null || loading !== null) return 'loading'
      return failure === null ? 'unloaded' : 'failed'
    },
    get error() {
      if (failure !== null) return failure.sentence
      const { detail, target } = trouble() ?? {}
      return detail === undefined || target === undefined ? null : hideFolder(detail, target)
    },
    get retryAt() {
      return failure === null ? (trouble()?.retryAt ?? null) : null
    },
    get dying() {
      return current === null && loading !== null && isLost(loading)
    },
    get outvoted() {
      return failure?.outvoted === true
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
    get enginesUp() {
      return current?.pool.enginesUp ?? 0
    },
    get run() {
      return current === null || isLost(current) ? null : leased(current)
    },
    hasFailed,
    want(target) {
      if (current?.target.key === target.key) {
        // One of the same key takes over with the fleet's variant.
        if (loading?.target.key === target.key) return
        stopLoading()
        failure = null
        void confirm(current)
      } else if (loading?.target.key !== target.key && !hasFailed(target)) {
        load(target, null)
      }
    },
    refuse(sentence) {
      stopLoading()
      failure = { key: '', attempt: '', sentence, outvoted: false }
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
