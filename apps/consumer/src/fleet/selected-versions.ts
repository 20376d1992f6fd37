import { type ActualModel, emptyVersion, isDying, isFailureOf, readyPool, statusOf } from './actual.ts'
import { type DesiredModel, targetOf } from './desired.ts'
import { highestFirst, type Selection, servingVersion, wantedVersions } from './model-policy.ts'

/** The versions that jobs can run on now. */
export function readyVersions({ versions }: ActualModel): string[] {
  return [...versions].flatMap(([version, there]) => (readyPool(there) === null ? [] : [version]))
}

/** Versions by alias. One that was pointed elsewhere follows when its new version is ready. */
export function followAliases(desired: DesiredModel, actual: ActualModel): Map<string, string> {
  const ready = new Set(readyVersions(actual))
  return new Map(
    Object.entries(desired.aliases).map(([alias, target]) => {
      const before = actual.aliases.get(alias)
      const waits = before !== undefined && ready.has(before) && !ready.has(target) && desired.versions.has(target)
      return [alias, waits ? before : target]
    }),
  )
}

/**
 * Whether what is wanted of a version can't be loaded, or its engines die again and again, so that an older one is to
 * serve. A version that other consumers serve in a variant that this one can't run doesn't count: an older version
 * would give other answers.
 */
export function hasFailed(desired: DesiredModel, actual: ActualModel, version: string): boolean {
  const found = desired.versions.get(version)
  const there = actual.versions.get(version) ?? emptyVersion()
  if (found === undefined || there.failure?.outvoted === true) return false
  return isDying(there) || (statusOf(there) === 'failed' && isFailureOf(there.failure, targetOf(found)))
}

/** The versions that are to be loaded, see wantedVersions. An alias that has not followed yet keeps its old version. */
export function versionsToLoad(desired: DesiredModel, actual: ActualModel): Set<string> {
  return wantedVersions({
    selection: desired.selection,
    versions: highestFirst(desired.versions.keys()),
    aliased: new Set([...Object.values(desired.aliases), ...actual.aliases.values()]),
    order: (version) => ({ wanted: desired.versions.get(version)?.order.wanted ?? 'configured' }),
    hasFailed: (version) => hasFailed(desired, actual, version),
  })
}

/**
 * The version for jobs that name none; never one that stays for pinned jobs alone. Null also if it would be one that
 * can't be run here as the fleet runs it: an older version would give other answers.
 */
export function versionThatServes(selection: Selection, actual: ActualModel): string | null {
  const ready = new Set(readyVersions(actual))
  const candidates = [...actual.versions].flatMap(([version, { failure, replacedAt }]) =>
    replacedAt === null && (ready.has(version) || failure?.outvoted === true) ? [version] : [],
  )
  const chosen = servingVersion(selection, highestFirst(candidates))
  return chosen === null || !ready.has(chosen) ? null : chosen
}

/**
 * Whether the version that is meant to serve is ready, so that others can go. Any other one that is ready doesn't do:
 * an alias may keep an old version loaded that must not serve meanwhile.
 */
export function successorIsReady(desired: DesiredModel, actual: ActualModel, wanted: ReadonlySet<string>): boolean {
  const loadable = [...wanted].filter((version) => !hasFailed(desired, actual, version))
  const successor = servingVersion(desired.selection, highestFirst(loadable))
  return successor !== null && readyVersions(actual).includes(successor)
}
