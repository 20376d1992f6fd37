import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { modelNameSchema, modelVersionSchema, VisionQueueError } from '@vision-queue/protocol'

/** A version of a model and where it lies. */
export interface ModelLocation {
  name: string
  version: string
  /** `<repository>/<name>/<version>`, or `<repository>/<name>` of a model without folders for versions. */
  folder: string
}

/** The version of a folder that has none below it: the files as they come from Hugging Face. */
const onlyVersion = '1'
const modelFile = /^(config\.json|genai_config\.json|model\.json|.+\.onnx)$/

/**
 * The folders of a model's versions by version, in their order, numbers compared as numbers. A folder that holds a
 * model's own files, as a download or a clone does, and no folder whose name is a number, is version 1 itself. `listed`: its entries, if they are known.
 */
export async function versionFolders(folder: string, listed?: readonly Dirent[]): Promise<Map<string, string>> {
  const entries = listed ?? (await readdir(folder, { withFileTypes: true }).catch(() => []))
  const folders: string[] = []
  for (const entry of entries) {
    if (!modelVersionSchema.safeParse(entry.name).success || entry.isFile()) continue
    const isFolder = entry.isDirectory() || (await isDirectory(join(folder, entry.name)))
    if (isFolder) folders.push(entry.name)
  }
  const isModel = folders.includes('onnx') || entries.some(({ name }) => modelFile.test(name))
  if (isModel && !folders.some((name) => /^\d+$/.test(name))) return new Map([[onlyVersion, folder]])
  const versions = folders.toSorted(new Intl.Collator('en', { numeric: true }).compare)
  return new Map(versions.map((version) => [version, join(folder, version)]))
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() === true
}

/**
 * Finds a version of a model; without a version the highest, numbers compared as numbers.
 * Rejects with `model_unavailable`, listing what there is.
 */
export async function findModel(repository: string, name: string, version: string | null): Promise<ModelLocation> {
  const isName = modelNameSchema.safeParse(name).success
  const versions = isName ? await versionFolders(join(repository, name)) : new Map<string, string>()
  if (versions.size === 0) {
    const known = (await listModels(repository)).join(', ')
    throw new VisionQueueError('model_unavailable', `There is no model ${name}; there are: ${known || 'none'}.`)
  }
  const chosen = version ?? [...versions.keys()].at(-1) ?? ''
  const folder = versions.get(chosen)
  if (folder === undefined) {
    throw new VisionQueueError(
      'model_unavailable',
      `${name} has no version ${chosen}; it has: ${[...versions.keys()].join(', ')}.`,
    )
  }
  return { name, version: chosen, folder }
}

/** The names of all models that have a version. */
export async function listModels(repository: string): Promise<string[]> {
  const names = (await readdir(repository).catch(() => [])).filter((entry) => modelNameSchema.safeParse(entry).success)
  const versions = await Promise.all(names.map(async (name) => versionFolders(join(repository, name))))
  return names.filter((_, index) => versions[index]?.size !== 0).toSorted()
}

/**
 * The model that a folder is, wherever it lies: `<name>/<version>`, or a model without versions by its own name. A name
 * that no model may have becomes the nearest that one may.
 */
export async function locateFolder(folder: string): Promise<ModelLocation> {
  const parent = await versionFolders(dirname(folder))
  const version = basename(folder)
  if (modelVersionSchema.safeParse(version).success && parent.get(version) === folder && /^\d/.test(version)) {
    return { name: toModelName(basename(dirname(folder))), version, folder }
  }
  return { name: toModelName(version), version: onlyVersion, folder }
}

/** A name of a model, made of any text; `model` where nothing of the text can stay. */
export function toModelName(text: string): string {
  const plain = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .replaceAll(/^[^a-z0-9]+|[-._]+$/g, '')
    .slice(0, 64)
  return plain === '' ? 'model' : plain
}
