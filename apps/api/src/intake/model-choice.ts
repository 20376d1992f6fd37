import { type ModelManifest, modelReferenceSchema, parseModelReference, VisionQueueError } from '@vision-queue/protocol'
import { armsOf, compareVersions, type Routes, routeTo, servingOf } from '@vision-queue/models/routes'
import type { ServedModel } from '@vision-queue/queue/producer'

import { refusal } from '../expectation.ts'

/** All versions of one model, newest first. */
export interface ModelVersions {
  name: string
  /** The version of jobs that name none, see servingOf. */
  serving: ServedModel
  versions: ServedModel[]
  routes: Routes
}

/** By the list that was grouped: one list serves all requests of a second. */
const grouped = new WeakMap<readonly ServedModel[], ModelVersions[]>()

/** The directory's entries by model name, in the order of the names. */
export function groupByName(models: readonly ServedModel[]): ModelVersions[] {
  const known = grouped.get(models) ?? sortIntoGroups(models)
  grouped.set(models, known)
  return known
}

function sortIntoGroups(models: readonly ServedModel[]): ModelVersions[] {
  const groups = new Map<string, ServedModel[]>()
  for (const model of models) groups.set(model.name, [...(groups.get(model.name) ?? []), model])
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, unsorted]) => {
      const versions = unsorted.toSorted((a, b) => compareVersions(b.version, a.version))
      const serving = servingOf(versions)
      return serving === null ? [] : [{ name, serving, versions, routes: routesOf(versions, serving) }]
    })
}

function routesOf(versions: readonly ServedModel[], serving: ServedModel): Routes {
  const aliases = versions.flatMap((model) => model.aliases.map((alias) => [alias, model.version]))
  return {
    versions: new Set(versions.map(({ version }) => version)),
    serving: serving.version,
    aliases: armsOf(Object.fromEntries(aliases)),
  }
}

/** The version that a job runs on, and whether no other one will do: it was named by its number or by an alias. */
export interface ChosenModel {
  model: ServedModel
  manifest: ModelManifest
  pinned: boolean
}

/**
 * Resolves `name`, `name@version` or `name@alias`; null takes the only model there is, or of several the
 * one named `defaultModel`. Throws
 * `model_not_found`; `model_unavailable` where no consumer could run it and none is on its way, or none has announced
 * anything yet; and `invalid_request` where a model has to be named because there are several.
 */
export function chooseModel(models: readonly ServedModel[], reference: string | null, defaultModel = ''): ChosenModel {
  const groups = groupByName(models)
  if (reference === null) {
    const { serving } = groups.find(({ name }) => name === defaultModel) ?? onlyModel(groups)
    return { model: serving, manifest: runnable(serving), pinned: false }
  }
  const { model, pinned } = findModel(groups, reference)
  return { model, manifest: runnable(model), pinned }
}

/** What a reference leads to. Throws as `modelNotFound` says. */
export function findModel(
  groups: readonly ModelVersions[],
  reference: string,
): { group: ModelVersions; model: ServedModel; pinned: boolean } {
  const { name, version } = parseModelReference(modelReferenceSchema.parse(reference))
  const group = groups.find((known) => known.name === name)
  if (group === undefined) throw modelNotFound(reference, groups)
  const route = routeTo(group.routes, version)
  const model = route === null ? undefined : group.versions.find((known) => known.version === route.version)
  if (route === null || model === undefined) throw modelNotFound(reference, groups)
  return { group, model, pinned: route.pinned }
}

/** The manifest to validate against, of a model whose jobs run or wait for a consumer. */
function runnable({ name, version, status, error, manifest }: ServedModel): ModelManifest {
  switch (status) {
    case 'ready':
    case 'loading':
    case 'no_consumers':
      if (manifest !== null) return manifest
      throw new VisionQueueError('model_unavailable', loadingFirst(`${name}@${version}`, error), {
        retryAfterMs: 2000,
      })
    case 'failed':
      throw new VisionQueueError('model_unavailable', `${name}@${version} could not be loaded. ${error ?? ''}`.trim())
    case 'unloaded':
      throw new VisionQueueError('model_unavailable', `${name}@${version} is there, but not loaded.`)
    default:
      return status satisfies never
  }
}

function loadingFirst(reference: string, error: string | null): string {
  return `${reference} is being loaded for the first time.${error === null ? '' : ` It failed so far: ${error}`}`
}

/** The one known model, or where several are known, the one that consumers serve. */
function onlyModel(groups: readonly ModelVersions[]): ModelVersions {
  const served = groups.filter(({ serving }) => serving.consumers.length > 0)
  const [only, ...others] = served.length > 0 ? served : groups
  if (only === undefined) throw nothingAnnounced()
  if (others.length === 0) return only
  const names = groups.map(({ name }) => name).join(', ')
  throw refusal('invalid_request', [{ field: 'model', expected: `one of ${names} (missing, and there are several)` }])
}

/** `model_not_found`, or while no consumer has announced any model, `model_unavailable`: then nobody can tell. */
export function modelNotFound(reference: string, groups: readonly ModelVersions[]): VisionQueueError {
  if (groups.length === 0) return nothingAnnounced()
  const known = groups.flatMap(({ name, versions }) =>
    versions.flatMap(({ version, aliases }) => [version, ...aliases].map((its) => `${name}@${its}`)),
  )
  return new VisionQueueError(
    'model_not_found',
    `There is no model ${JSON.stringify(reference)}. There are: ${known.join(', ')}.`,
  )
}

/** At a first start, and after Redis was flushed: the model may well be there in a moment. */
function nothingAnnounced(): VisionQueueError {
  return new VisionQueueError('model_unavailable', 'No consumer has announced a model yet.', { retryAfterMs: 2000 })
}
