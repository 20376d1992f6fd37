import type { Action } from './action.ts'
import type { Actual, ActualModel } from './actual.ts'
import type { Desired, DesiredModel } from './desired.ts'
import { createLoadingTurns, inLoadingOrder, type TakeTurn } from './loading-turns.ts'
import { planOutcomes } from './plan-outcomes.ts'
import { planVersion } from './plan-version.ts'
import {
  followAliases,
  readyVersions,
  successorIsReady,
  versionsToLoad,
  versionThatServes,
} from './selected-versions.ts'

/**
 * The next steps from what is open here to what is wanted; empty: all is as it can be now. Who performs them plans
 * again afterwards, and when anything has happened, until there is nothing left to do. Pure: it starts and changes
 * nothing.
 *
 * A model's steps come in stages, and a later stage is planned only when the earlier ones have nothing left to do:
 * what became of pools, what is announced and known, versions, queues. So no rule meets data that another rule is
 * about to change, and a queue is left only once nothing here takes over.
 */
export function plan(desired: Desired, actual: Actual): Action[] {
  const actions = planReports(desired, actual)
  const takeTurn = createLoadingTurns(desired, actual)
  for (const [model, wanted] of inLoadingOrder(desired)) {
    const there = actual.models.get(model)
    if (there === undefined) {
      const waitedFor = [...wanted.pinned].flatMap(([version, jobs]) => (jobs > 0 ? [version] : []))
      actions.push({ kind: 'add-model', model, waitedFor })
    } else {
      actions.push(...planModel(model, desired, wanted, there, takeTurn))
    }
  }
  return actions
}

/** Problems are told when they begin, not at every look. */
function planReports({ problems }: Desired, actual: Actual): Action[] {
  const isNew = problems.filter((problem) => !actual.problems.has(problem))
  const isOver = [...actual.problems].filter((problem) => !problems.includes(problem))
  return [
    ...isNew.map((problem) => ({ kind: 'report', problem }) as const),
    ...isOver.map((problem) => ({ kind: 'end-report', problem }) as const),
  ]
}

function planModel(
  model: string,
  desired: Desired,
  wanted: DesiredModel,
  actual: ActualModel,
  takeTurn: TakeTurn,
): Action[] {
  const stages = [
    () => planOutcomes(model, actual),
    () => planKnown(model, desired, wanted, actual),
    () => planVersions(model, desired, wanted, actual),
    () => planQueues(model, wanted, actual),
  ]
  for (const stage of stages) {
    const actions = stage().filter(({ kind }) => kind !== 'open-pool' || takeTurn())
    if (actions.length > 0) return actions
  }
  return []
}

/** Folders that came and went, aliases, and versions that are wanted again after they were replaced. */
function planKnown(model: string, { at }: Desired, desired: DesiredModel, actual: ActualModel): Action[] {
  const actions: Action[] = []
  for (const version of desired.versions.keys()) {
    if (actual.folders.get(version) !== null) actions.push({ kind: 'see-folder', model, version })
  }
  for (const [version, missedAt] of actual.folders) {
    if (desired.versions.has(version)) continue
    if (missedAt === null) actions.push({ kind: 'miss-folder', model, version })
    // A look after it went: a heartbeat that was under way would make it known again.
    else if (missedAt < at) actions.push({ kind: 'forget', model, version })
  }
  const aliases = followAliases(desired, actual)
  if (!areEqual(aliases, actual.aliases)) actions.push({ kind: 'point-aliases', model, aliases })
  for (const version of versionsToLoad(desired, actual)) {
    const replacedAt = actual.versions.get(version)?.replacedAt ?? null
    if (replacedAt !== null) actions.push({ kind: 'end-keeping', model, version })
  }
  return actions
}

function areEqual(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([key, value]) => other.get(key) === value)
}

function planVersions(model: string, { at, lingerMs }: Desired, desired: DesiredModel, actual: ActualModel): Action[] {
  const wanted = versionsToLoad(desired, actual)
  const successor = successorIsReady(desired, actual, wanted)
  const versions = new Set([...wanted, ...actual.versions.keys(), ...desired.selection.exact])
  return [...versions].flatMap((version) => {
    const replacedAt = actual.versions.get(version)?.replacedAt ?? null
    const pinnedAreDone = replacedAt !== null && at - replacedAt >= lingerMs && desired.pinned.get(version) === 0
    const isWanted = wanted.has(version)
    return planVersion({ model, version, desired, actual, isWanted, successorIsReady: successor, pinnedAreDone })
  })
}

/** A queue is taken from exactly while something here can run its jobs. */
function planQueues(model: string, { selection }: DesiredModel, actual: ActualModel): Action[] {
  const serves = versionThatServes(selection, actual) !== null
  const needed = new Set<string | null>([...(serves ? [null] : []), ...readyVersions(actual)])
  const over = [...actual.taking].filter((pinnedTo) => !needed.has(pinnedTo))
  const missing = [...needed].filter((pinnedTo) => !actual.taking.has(pinnedTo))
  return [
    ...over.map((pinnedTo) => ({ kind: 'stop-taking', model, pinnedTo }) as const),
    ...missing.map((pinnedTo) => ({ kind: 'take-jobs', model, pinnedTo }) as const),
  ]
}
