import type { Action } from './action.ts'
import {
  type ActualModel,
  type ActualVersion,
  comingPool,
  hideFolder,
  type LoadTarget,
  type Pool,
  runningPool,
} from './actual.ts'
import { cantFollow, decidedBy, type FleetVariant } from './fleet-variant.ts'

/** What follows from pools that have loaded, were refused, or have finished their last jobs. */
export function planOutcomes(model: string, { versions }: ActualModel): Action[] {
  const actions: Action[] = []
  for (const [version, there] of versions) {
    actions.push(...outcomeOf({ model, version }, there))
    for (const { id, state, inFlight } of there.pools) {
      const isDone = state.phase === 'retired' && (state.overdue || inFlight === 0)
      if (isDone) actions.push({ kind: 'close-pool', model, version, pool: id })
    }
  }
  return actions
}

interface VersionName {
  model: string
  version: string
}

function outcomeOf(name: VersionName, there: ActualVersion): Action[] {
  const [running, coming] = [runningPool(there), comingPool(there)]
  if (coming === null) return []
  const { id, target, following, state } = coming
  const close: Action = { kind: 'close-pool', ...name, pool: id }
  if (state.phase === 'refused') return [close, fail(name, target, following, state.detail)]
  if (state.phase !== 'loaded') return []
  const { manifest, fleet } = state
  // One that follows the fleet already is not asked again: that could go on for ever.
  if (following === null && fleet !== null && fleet.decision.graph !== manifest.choice?.graph) {
    return [close, followFleet(name, target, fleet)]
  }
  const decision = following ?? fleet?.decision ?? null
  return [
    ...(running === null ? [] : [{ kind: 'retire-pool', ...name, pool: running.id } as const]),
    { kind: 'take-over', ...name, pool: id, manifest: decidedBy(manifest, decision) },
  ]
}

/** The fleet runs another variant than the one that was loaded: that one is loaded, unless this machine must not. */
export function followFleet(name: VersionName, target: LoadTarget, { decision, obstacle }: FleetVariant): Action {
  if (obstacle !== null) return fail(name, target, decision, obstacle)
  return { kind: 'open-pool', ...name, target, following: decision }
}

function fail(name: VersionName, target: LoadTarget, following: Pool['following'], detail: string): Action {
  const { key, attempt } = target
  const sentence = cantFollow(following) + hideFolder(detail, target, name.version)
  return { kind: 'fail', ...name, failure: { key, attempt, sentence, outvoted: following !== null } }
}
