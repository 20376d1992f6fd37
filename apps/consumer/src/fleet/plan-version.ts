import type { Action } from './action.ts'
import {
  type ActualModel,
  type ActualVersion,
  comingPool,
  emptyVersion,
  isFailureOf,
  type LoadTarget,
  readyPool,
  runningPool,
} from './actual.ts'
import { type DesiredModel, targetOf } from './desired.ts'
import { decidedBy } from './fleet-variant.ts'
import { highestFirst } from './model-policy.ts'
import { followFleet } from './plan-outcomes.ts'

/** A version, and what was found out about its neighbours. */
export interface VersionSituation {
  model: string
  version: string
  desired: DesiredModel
  actual: ActualModel
  /** Whether it is to be loaded. */
  isWanted: boolean
  /** Whether the version that is meant to serve is ready. */
  successorIsReady: boolean
  /** Whether it stayed for pinned jobs alone, and there are none any more. */
  pinnedAreDone: boolean
}

/** The next steps for one version: the first rule that applies. */
export function planVersion(situation: VersionSituation): Action[] {
  const { model, version, desired, actual, isWanted, successorIsReady, pinnedAreDone } = situation
  const name = { model, version }
  const there = actual.versions.get(version) ?? emptyVersion()
  const found = desired.versions.get(version)
  if (found === undefined) {
    return desired.selection.exact.has(version) ? refuse(name, desired, there) : leave(name, there)
  }
  if (found.order.wanted === 'unloaded' || pinnedAreDone) return unload(name, there)
  // What it has loaded would give other answers than the rest of the fleet.
  if (there.failure?.outvoted === true && runningPool(there) !== null) return stopPools(name, there)
  if (isWanted || there.replacedAt !== null) return found.settled ? load(name, there, targetOf(found)) : []
  if (readyPool(there) === null) return unload(name, there)
  // What is merely not wanted any more serves on until something else does, and then its pinned jobs.
  return successorIsReady ? [{ kind: 'keep-for-pinned', ...name }] : []
}

interface VersionName {
  model: string
  version: string
}

function load(name: VersionName, there: ActualVersion, target: LoadTarget): Action[] {
  const [running, coming] = [runningPool(there), comingPool(there)]
  const superseded = coming === null ? [] : [{ kind: 'close-pool', ...name, pool: coming.id } as const]
  if (running?.target.key !== target.key) {
    if (coming?.target.key === target.key || isFailureOf(there.failure, target)) return []
    return [...superseded, { kind: 'open-pool', ...name, target, following: null }]
  }
  // One of the same files takes over with the fleet's variant. Any other was for files that are gone again.
  if (coming?.target.key === target.key) return []
  if (coming !== null) return superseded
  if (there.failure !== null) return [{ kind: 'clear-failure', ...name }]
  return running.state.phase === 'running' && running.state.fleet !== null
    ? obeyFleet(name, there, target, running.state.fleet)
    : []
}

/** Redis may have lost the fleet's decision, and another consumer made one since. */
function obeyFleet(
  name: VersionName,
  { manifest }: ActualVersion,
  target: LoadTarget,
  fleet: Parameters<typeof followFleet>[2],
): Action[] {
  if (manifest === null) return []
  if (fleet.decision.graph !== manifest.choice?.graph) return [followFleet(name, target, fleet)]
  if (fleet.decision.at === manifest.choice.at) return []
  return [{ kind: 'date-decision', ...name, manifest: decidedBy(manifest, fleet.decision) }]
}

function stopPools(name: VersionName, there: ActualVersion): Action[] {
  const [running, coming] = [runningPool(there), comingPool(there)]
  return [
    ...(coming === null ? [] : [{ kind: 'close-pool', ...name, pool: coming.id } as const]),
    ...(running === null ? [] : [{ kind: 'retire-pool', ...name, pool: running.id } as const]),
  ]
}

function unload(name: VersionName, there: ActualVersion): Action[] {
  return [
    ...stopPools(name, there),
    ...(there.failure === null ? [] : [{ kind: 'clear-failure', ...name } as const]),
    ...(there.replacedAt === null ? [] : [{ kind: 'end-keeping', ...name } as const]),
  ]
}

/** Its folder has left the repository. */
function leave(name: VersionName, there: ActualVersion): Action[] {
  const actions = unload(name, there)
  if (actions.length > 0 || there.pools.length > 0) return actions
  return [{ kind: 'remove-version', ...name }]
}

/** MODELS names the version, and it isn't in the repository. */
function refuse(name: VersionName, { versions }: DesiredModel, there: ActualVersion): Action[] {
  const others = highestFirst(versions.keys()).join(', ')
  const sentence = `${name.model} has no version ${name.version}; it has: ${others === '' ? 'none' : others}.`
  const actions = stopPools(name, there)
  if (there.replacedAt !== null) actions.push({ kind: 'end-keeping', ...name })
  if (there.failure?.sentence !== sentence) {
    actions.push({ kind: 'fail', ...name, failure: { key: '', attempt: '', sentence, outvoted: false } })
  }
  return actions
}
