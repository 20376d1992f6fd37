import type { ModelInRepository, RepositoryView } from './repository.ts'

/** A version's folder as it was at the last look. */
export interface WatchedVersion {
  folder: string
  signature: string
  /** The same at two looks in a row: nobody is copying into it, or taking it away. */
  settled: boolean
}

export interface WatchedModel extends Pick<ModelInRepository, 'aliases'> {
  versions: Map<string, WatchedVersion>
}

/**
 * Compares each look at the repository with the one before. A version that is missing for the first
 * time is still in the view, not settled; the second time it is gone. The first look counts as settled.
 */
export function createRepositoryWatch(): (view: RepositoryView) => Map<string, WatchedModel> {
  let before: RepositoryView | null = null
  return (view) => {
    const previous = before ?? view
    before = view
    const names = new Set([...previous.keys(), ...view.keys()])
    return new Map([...names].map((name) => [name, compare(previous.get(name), view.get(name))]))
  }
}

function compare(previous: ModelInRepository | undefined, now: ModelInRepository | undefined): WatchedModel {
  const versions = new Map<string, WatchedVersion>()
  for (const [version, { folder, signature }] of previous?.versions ?? []) {
    versions.set(version, { folder, signature, settled: false })
  }
  for (const [version, { folder, signature }] of now?.versions ?? []) {
    versions.set(version, { folder, signature, settled: versions.get(version)?.signature === signature })
  }
  return { versions, aliases: now?.aliases ?? previous?.aliases ?? {} }
}
