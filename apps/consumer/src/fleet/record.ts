import type { ModelManifest } from '@vision-queue/protocol'

import type { Action } from './action.ts'
import {
  type Actual,
  type ActualModel,
  type ActualVersion,
  emptyVersion,
  type Pool,
  type PoolTrouble,
} from './actual.ts'
import type { FleetVariant } from './fleet-variant.ts'

interface OfPool {
  model: string
  version: string
  pool: number
}

/** What happens to pools, and what Redis answers. */
export type FleetEvent =
  /** `fleet`: which variant all consumers run; null: it isn't the fleet's to say, or Redis can't say it now. */
  | (OfPool & { kind: 'loaded'; manifest: ModelManifest; fleet: FleetVariant | null })
  /** The files can't be served, for a public reason. */
  | (OfPool & { kind: 'refused'; detail: string })
  /** Engines could not be started, all are lost, or one is back. */
  | (OfPool & { kind: 'trouble'; trouble: PoolTrouble | null })
  /** What the fleet has decided by the last look. */
  | (OfPool & { kind: 'decided'; fleet: FleetVariant | null })
  /** A retired pool has finished its last job. */
  | (OfPool & { kind: 'drained' })
  /** A retired pool had long enough for its last jobs. */
  | (OfPool & { kind: 'drain-over' })
  /** Its engines have ended. */
  | (OfPool & { kind: 'closed' })
  /** The version is known to no process any more. */
  | { kind: 'forgotten'; model: string; version: string }

/** Brings `actual` in step with what has happened. An event that comes too late for its pool changes nothing. */
export function recordEvent(actual: Actual, event: FleetEvent): void {
  const model = actual.models.get(event.model)
  if (event.kind === 'forgotten') {
    // Null: its folder has come back meanwhile.
    if (model?.folders.get(event.version) !== null) model?.folders.delete(event.version)
    return
  }
  const version = model?.versions.get(event.version)
  const pool = version?.pools.find(({ id }) => id === event.pool)
  if (version === undefined || pool === undefined) return
  const { phase } = pool.state
  switch (event.kind) {
    case 'loaded':
      if (phase === 'loading') pool.state = { phase: 'loaded', manifest: event.manifest, fleet: event.fleet }
      return
    case 'refused':
      if (phase === 'loading') pool.state = { phase: 'refused', detail: event.detail }
      return
    case 'decided':
      if (phase === 'running') pool.state = { phase, fleet: event.fleet }
      return
    case 'trouble':
      pool.trouble = event.trouble
      return
    case 'drained':
      return
    case 'drain-over':
      if (phase === 'retired') pool.state = { phase, overdue: true }
      return
    case 'closed':
      version.pools = version.pools.filter((one) => one !== pool)
      return
    default:
      event satisfies never
  }
}

/**
 * Brings `actual` in step with an action that is performed.
 * @param at The look that it was planned on.
 * @param now By the same clock.
 */
export function recordAction(actual: Actual, action: Action, { at, now }: { at: number; now: number }): void {
  if (action.kind === 'report') actual.problems.add(action.problem)
  else if (action.kind === 'end-report') actual.problems.delete(action.problem)
  else if (action.kind === 'add-model') actual.models.set(action.model, newModel(action.waitedFor, now))
  else {
    const model = actual.models.get(action.model)
    if (model !== undefined) recordOfModel(actual, model, action, { at, now })
  }
}

function newModel(waitedFor: readonly string[], now: number): ActualModel {
  const versions = waitedFor.map((version) => [version, { ...emptyVersion(), replacedAt: now }] as const)
  return { versions: new Map(versions), aliases: new Map(), taking: new Set(), folders: new Map() }
}

type ModelAction = Exclude<Action, { kind: 'report' | 'end-report' | 'add-model' }>
type VersionAction = Extract<Action, { version: string }>

function recordOfModel(
  actual: Actual,
  model: ActualModel,
  action: ModelAction,
  { at, now }: { at: number; now: number },
): void {
  switch (action.kind) {
    case 'point-aliases':
      model.aliases = action.aliases
      return
    case 'take-jobs':
      model.taking.add(action.pinnedTo)
      return
    case 'stop-taking':
      model.taking.delete(action.pinnedTo)
      return
    case 'see-folder':
      model.folders.set(action.version, null)
      return
    case 'miss-folder':
    case 'forget':
      model.folders.set(action.version, at)
      return
    case 'remove-version':
      model.versions.delete(action.version)
      return
    case 'open-pool':
    case 'take-over':
    case 'retire-pool':
    case 'close-pool':
    case 'fail':
    case 'clear-failure':
    case 'date-decision':
    case 'keep-for-pinned':
    case 'end-keeping': {
      const version = model.versions.get(action.version) ?? emptyVersion()
      model.versions.set(action.version, version)
      recordOfVersion(actual, version, action, now)
      return
    }
    default:
      action satisfies never
  }
}

function recordOfVersion(
  actual: Actual,
  version: ActualVersion,
  action: Exclude<VersionAction, { kind: 'see-folder' | 'miss-folder' | 'forget' | 'remove-version' }>,
  now: number,
): void {
  const moveTo = (id: number, state: Pool['state']): void => {
    for (const pool of version.pools) if (pool.id === id) pool.state = state
  }
  switch (action.kind) {
    case 'open-pool': {
      const { target, following } = action
      version.failure = null
      version.pools.push({
        id: actual.nextPoolId,
        target,
        following,
        state: { phase: 'loading' },
        trouble: null,
        inFlight: 0,
      })
      actual.nextPoolId += 1
      return
    }
    case 'take-over':
      moveTo(action.pool, { phase: 'running', fleet: null })
      version.manifest = action.manifest
      return
    case 'retire-pool':
      return moveTo(action.pool, { phase: 'retired', overdue: false })
    case 'close-pool':
      return moveTo(action.pool, { phase: 'closing' })
    case 'fail':
      version.failure = action.failure
      return
    case 'clear-failure':
      version.failure = null
      return
    case 'date-decision':
      version.manifest = action.manifest
      return
    case 'keep-for-pinned':
      version.replacedAt = now
      return
    case 'end-keeping':
      version.replacedAt = null
      return
    default:
      action satisfies never
  }
}
