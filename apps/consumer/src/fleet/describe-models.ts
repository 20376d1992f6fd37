import type { AnnouncedModel } from '@vision-queue/queue'
import type { ModelAliases } from '@vision-queue/protocol'

import { type Actual, emptyVersion, faultOf, statusOf } from './actual.ts'
import type { Desired } from './desired.ts'
import { highestFirst } from './model-policy.ts'
import { versionsToLoad, versionThatServes } from './selected-versions.ts'

/** What is announced of a version, without the figures of its engines and jobs. */
export type DescribedModel = Omit<AnnouncedModel, 'engines' | 'enginesUp' | 'stats' | 'loading'>

/** The versions that are in the repository or open here, highest first. */
export function describeModels(desired: Desired, actual: Actual): DescribedModel[] {
  return [...actual.models].flatMap(([name, there]) => {
    const model = desired.models.get(name)
    if (model === undefined) return []
    const wanted = versionsToLoad(model, there)
    const serving = versionThatServes(model.selection, there)
    return highestFirst(new Set([...model.versions.keys(), ...there.versions.keys()])).map((version) => {
      const one = there.versions.get(version) ?? emptyVersion()
      const fault = faultOf(version, one)
      // New jobs are not to be pinned to a version that stays for earlier ones alone.
      const status = one.replacedAt !== null && fault.error === null ? 'unloaded' : statusOf(one)
      return {
        name,
        version,
        // A folder that is still being copied will be loaded.
        status: status === 'unloaded' && wanted.has(version) ? 'loading' : status,
        serving: version === serving,
        error: fault.error,
        retryAt: fault.retryAt,
        manifest: one.manifest,
      }
    })
  })
}

/** Versions by alias, by model name. */
export function describeAliases({ models }: Actual): Record<string, ModelAliases> {
  return Object.fromEntries([...models].map(([name, { aliases }]) => [name, Object.fromEntries(aliases)]))
}
