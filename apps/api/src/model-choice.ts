import { modelReferenceSchema, parseModelReference, VisionQueueError } from '@vision-queue/jobs'
import type { ServedModel } from '@vision-queue/transport'

import { refusal } from './expectation.ts'

/** All versions of one model, newest first. */
export interface ModelVersions {
  name: string
  /** The version that validates jobs without a version: the newest that a consumer serves, else the newest. */
  serving: ServedModel
  versions: ServedModel[]
}

/** The directory's entries by model name, in the order of the names. */
export function groupByName(models: readonly ServedModel[]): ModelVersions[] {
  const groups = new Map<string, ServedModel[]>()
  for (const model of models) {
    groups.set(model.manifest.name, [...(groups.get(model.manifest.name) ?? []), model])
  }
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, unsorted]) => {
      // Numeric, so that 10 comes after 9.
      const versions = unsorted.toSorted(({ manifest: a }, { manifest: b }) =>
        b.version.localeCompare(a.version, 'en', { numeric: true }),
      )
      const serving = versions.find(({ consumers }) => consumers.length > 0) ?? versions[0]
      return serving === undefined ? [] : [{ name, serving, versions }]
    })
}

/** The model that a job runs on: the manifest to validate against, and the version it is pinned to, if any. */
export interface ChosenModel {
  model: ServedModel
  pinnedVersion: string | null
}

/**
 * Resolves `name` or `name@version`; null takes the only model there is. Throws `model_not_found`,
 * and `invalid_request` where a model has to be named because there are several.
 */
export function chooseModel(models: readonly ServedModel[], reference: string | null): ChosenModel {
  const groups = groupByName(models)
  if (reference === null) return { model: onlyModel(groups).serving, pinnedVersion: null }
  const { name, version } = parseModelReference(modelReferenceSchema.parse(reference))
  const group = groups.find((known) => known.name === name)
  const model = version === null ? group?.serving : group?.versions.find(({ manifest }) => manifest.version === version)
  if (model === undefined) throw modelNotFound(reference, groups)
  return { model, pinnedVersion: version }
}

/** The one known model, or where several are known, the one that consumers serve. */
function onlyModel(groups: readonly ModelVersions[]): ModelVersions {
  const served = groups.filter(({ serving }) => serving.consumers.length > 0)
  const [only, ...others] = served.length > 0 ? served : groups
  if (only === undefined) throw new VisionQueueError('model_not_found', 'No consumer has announced a model yet.')
  if (others.length === 0) return only
  const names = groups.map(({ name }) => name).join(', ')
  throw refusal('invalid_request', [{ field: 'model', expected: `one of ${names} (missing, and there are several)` }])
}

export function modelNotFound(reference: string, groups: readonly ModelVersions[]): VisionQueueError {
  const known = groups.flatMap(({ name, versions }) => versions.map(({ manifest }) => `${name}@${manifest.version}`))
  return new VisionQueueError(
    'model_not_found',
    `There is no model ${JSON.stringify(reference)}. ` +
      (known.length === 0 ? 'No consumer has announced a model yet.' : `There are: ${known.join(', ')}.`),
  )
}
