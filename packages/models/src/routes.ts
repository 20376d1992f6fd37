import type { ModelAliases, ModelStatus } from '@vision-queue/protocol'

/*
 * Which version of a model a job runs on: by the model's name, `name@version` or `name@alias`. The choice is made once,
 * when the job is submitted, and kept in the job. The consumer that takes the job obeys it by the same code. All of
 * it is pure: what is known of the versions comes in, a route comes out.
 */

/** One of the versions that an alias stands for, and its share of the alias' jobs: its weight by the sum of weights. */
export interface Arm {
  version: string
  weight: number
}

/** What the versions of one model are known by, where a job is routed. */
export interface Routes {
  /** Whether there is such a version. */
  versions: { has(version: string): boolean }
  /** The version of jobs that name none; null: there is none. */
  serving: string | null
  aliases: ReadonlyMap<string, readonly Arm[]>
}

/** Where a job goes: `modelVersion` and `versionPinned` of the job. */
export interface Route {
  version: string
  /** Whether no other version will do. */
  pinned: boolean
}

/** A model's `aliases.json` as routes: each alias has one arm. */
export function armsOf(aliases: ModelAliases): Map<string, readonly Arm[]> {
  return new Map(Object.entries(aliases).map(([alias, version]) => [alias, [{ version, weight: 1 }]]))
}

/**
 * Where a job goes that names this version or alias; null: it names none. A version goes before an alias of the same
 * name. Of an alias with several arms `draw`, a number from 0 to below 1, decides. Null if there is no such version.
 */
export function routeTo(
  { versions, serving, aliases }: Routes,
  named: string | null,
  draw: () => number = Math.random,
): Route | null {
  if (named === null) return serving === null ? null : { version: serving, pinned: false }
  if (versions.has(named)) return { version: named, pinned: true }
  const arms = (aliases.get(named) ?? []).filter(({ version, weight }) => weight > 0 && versions.has(version))
  const version = drawn(arms, draw)
  return version === null ? null : { version, pinned: true }
}

/**
 * Where a job that was routed before runs here: on its version if that is here; else, if the job is not pinned, on the
 * one that serves. Null: not here.
 */
export function routeAgain(here: Omit<Routes, 'aliases'>, route: Route): string | null {
  if (here.versions.has(route.version)) return route.version
  return route.pinned ? null : here.serving
}

/** One arm needs no draw. */
function drawn(arms: readonly Arm[], draw: () => number): string | null {
  const [first, ...others] = arms
  if (first === undefined) return null
  if (others.length === 0) return first.version
  let left = draw() * arms.reduce((sum, { weight }) => sum + weight, 0)
  for (const { version, weight } of arms) {
    left -= weight
    if (left < 0) return version
  }
  // Only if rounding left a rest.
  return arms.at(-1)?.version ?? null
}

/** What consumers tell of a version. */
export interface VersionState {
  version: string
  /** Whether a consumer runs jobs that name no version on it. */
  serving: boolean
  /** `no_consumers`: it is known from before, and its jobs wait. */
  status: ModelStatus | 'no_consumers'
  /** Null: it was never ready, so that nothing can be checked against it. */
  manifest: object | null
}

/** How close a version is to running a job. */
const closeness = { ready: 4, loading: 3, no_consumers: 2, failed: 1, unloaded: 0 } as const

/**
 * The version of jobs that name none: the one that consumers run them on, else the highest of those that are closest to
 * running. Null if there is no version.
 */
export function servingOf<V extends VersionState>(versions: readonly V[]): V | null {
  const [first] = versions.toSorted(
    (a, b) =>
      Number(b.serving) - Number(a.serving) ||
      closeness[b.status] - closeness[a.status] ||
      // A first version that loads can't be checked against yet; one that is known from before can.
      Number(b.manifest !== null) - Number(a.manifest !== null) ||
      compareVersions(b.version, a.version),
  )
  return first ?? null
}

const collation = new Intl.Collator('en', { numeric: true })

/** For sorting, lowest first: numbers are compared as numbers, so that 10 comes after 9. */
export function compareVersions(a: string, b: string): number {
  return collation.compare(a, b)
}
