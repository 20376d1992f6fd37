import type { ModelManifest, ModelStatus, VariantDecision } from '@vision-queue/protocol'

import type { FleetVariant } from './fleet-variant.ts'

/** What is to be loaded. */
export interface LoadTarget {
  folder: string
  /** Names the state of the files and the last reload that was asked for: another key is loaded anew. */
  key: string
  /** Names the last order that was given: a failure is tried again when the key or this changes. */
  attempt: string
}

/** Why engines of a pool are missing, see EnginePool. */
export interface PoolTrouble {
  detail: string
  retryAt: number
  /** All engines are lost: the pool takes no jobs until one is back. */
  lost: boolean
}

/**
 * The life of an engine pool. One that was refused, was superseded while it loaded, or has finished its last jobs is
 * closed:
 *
 *   loading --its first engine is warm--> loaded --takes over--> running --replaced or dropped--> retired
 *   loading --the files can't be served--> refused;   loading, loaded, refused, retired --> closing
 */
export type PoolState =
  | { phase: 'loading' }
  /** `fleet`: which variant all consumers run; null: nobody says so. */
  | { phase: 'loaded'; manifest: ModelManifest; fleet: FleetVariant | null }
  | { phase: 'refused'; detail: string }
  /** `fleet`: as of the last look. */
  | { phase: 'running'; fleet: FleetVariant | null }
  /** `overdue`: it had long enough for its last jobs. */
  | { phase: 'retired'; overdue: boolean }
  | { phase: 'closing' }

export interface Pool {
  id: number
  target: LoadTarget
  /** The fleet's decision that it was opened to follow; null: it was opened as this machine would choose. */
  following: VariantDecision | null
  state: PoolState
  /** Null while no engine failed to start. */
  trouble: PoolTrouble | null
  /** Jobs that it runs. */
  inFlight: number
}

/** Why a version can't be loaded. */
export interface Failure {
  key: string
  attempt: string
  /** Public: it doesn't tell where the repository lies. */
  sentence: string
  /** It can't run the variant that the fleet runs. Other consumers serve this version. */
  outvoted: boolean
}

export interface ActualVersion {
  /** At most one of them loads, loaded or refused, and at most one runs. */
  pools: Pool[]
  failure: Failure | null
  /** The last one that ran. */
  manifest: ModelManifest | null
  /** Since when it has stayed only for jobs that are pinned to it; null: it doesn't. */
  replacedAt: number | null
}

export interface ActualModel {
  versions: Map<string, ActualVersion>
  /** Versions by alias, as announced. */
  aliases: Map<string, string>
  /** The queues that jobs are taken from: of those pinned to a version, and with null of all others. */
  taking: Set<string | null>
  /** Versions whose folders were seen. Null: it is there; else the look that missed it, or last tried to forget it. */
  folders: Map<string, number | null>
}

/** What is open in this consumer, as plain data: `plan` reads it, and record.ts alone changes it. */
export interface Actual {
  models: Map<string, ActualModel>
  /** What was said to be wrong, and still is. */
  problems: Set<string>
  nextPoolId: number
}

export function emptyVersion(): ActualVersion {
  return { pools: [], failure: null, manifest: null, replacedAt: null }
}

export function runningPool({ pools }: ActualVersion): Pool | null {
  return pools.find(({ state }) => state.phase === 'running') ?? null
}

/** The pool that is to take over, whether it still loads, has loaded or was refused. */
export function comingPool({ pools }: ActualVersion): Pool | null {
  return pools.find(({ state: { phase } }) => phase === 'loading' || phase === 'loaded' || phase === 'refused') ?? null
}

/** The pool that runs the version's jobs now. */
export function readyPool(version: ActualVersion): Pool | null {
  const running = runningPool(version)
  return running?.trouble?.lost === true ? null : running
}

/** A version that has lost all its engines is `loading` again. */
export function statusOf(version: ActualVersion): ModelStatus {
  if (readyPool(version) !== null) return 'ready'
  if (runningPool(version) !== null || comingPool(version) !== null) return 'loading'
  return version.failure === null ? 'unloaded' : 'failed'
}

/** Whether nothing of it runs, and the engines that are to load it die again and again. */
export function isDying(version: ActualVersion): boolean {
  return runningPool(version) === null && comingPool(version)?.trouble?.lost === true
}

/** Whether this very target has failed. */
export function isFailureOf(failure: Failure | null, { key, attempt }: LoadTarget): boolean {
  return failure?.key === key && failure.attempt === attempt
}

/** What is wrong with a version, and when its engines are tried again (null: they aren't). */
export function faultOf(name: string, version: ActualVersion): { error: string | null; retryAt: number | null } {
  if (version.failure !== null) return { error: version.failure.sentence, retryAt: null }
  const pool = [comingPool(version), runningPool(version)].find((one) => one !== null && one.trouble !== null)
  if (pool?.trouble == null) return { error: null, retryAt: null }
  return { error: hideFolder(pool.trouble.detail, pool.target, name), retryAt: pool.trouble.retryAt }
}

/** Sentences of engines are public; where the repository lies is not. */
export function hideFolder(detail: string, { folder }: LoadTarget, version: string): string {
  return detail.replaceAll(folder, version)
}
