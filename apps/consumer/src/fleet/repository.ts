import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { toModelName, versionFolders } from '@vision-queue/models'
import { type ModelAliases, modelAliasesSchema, modelNameSchema } from '@vision-queue/protocol'

/** A version's folder, and what tells one state of its files from another. */
export interface VersionFolder {
  folder: string
  /** Made of its files' names, sizes, times and inodes; their content is not read. */
  signature: string
}

export interface ModelInRepository {
  versions: Map<string, VersionFolder>
  aliases: ModelAliases
  /** Why `aliases.json` can't be used; its aliases are none then. */
  aliasesProblem: string | null
}

/** What lies in a model repository now, by model name. */
export type RepositoryView = Map<string, ModelInRepository>

/** Deep enough for `onnx/` and what lies in it; a link that leads back up ends there. */
const maxDepth = 4

/**
 * Looks at `<repository>/<name>/<version>/`, or `<repository>/<name>/` of a model without versions. Rejects where the repository itself can't be read, which
 * is not the same as an empty one. Names that are no model's or version's are passed over.
 */
export async function readRepository(repository: string): Promise<RepositoryView> {
  const names = (await readdir(repository)).filter((name) => modelNameSchema.safeParse(name).success)
  const models = await Promise.all(names.map(async (name) => [name, await readModel(join(repository, name))] as const))
  return new Map(models.filter(([, { versions }]) => versions.size > 0))
}

/** Folders that hold a model and have a name that none may have, with the name that would do. */
export async function misnamedModels(repository: string): Promise<{ folder: string; better: string }[]> {
  const names = (await readdir(repository).catch((): string[] => [])).filter(
    (name) => !name.startsWith('.') && !modelNameSchema.safeParse(name).success,
  )
  const versions = await Promise.all(names.map(async (name) => versionFolders(join(repository, name))))
  return names
    .filter((_, index) => versions[index]?.size !== 0)
    .map((folder) => ({ folder, better: toModelName(folder) }))
}

async function readModel(folder: string): Promise<ModelInRepository> {
  const versions = new Map<string, VersionFolder>()
  for (const [version, at] of await versionFolders(folder)) {
    versions.set(version, { folder: at, signature: await sign(at) })
  }
  return { versions, ...(await readAliases(join(folder, 'aliases.json'))) }
}

async function readAliases(path: string): Promise<Omit<ModelInRepository, 'versions'>> {
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return { aliases: {}, aliasesProblem: null }
  try {
    return { aliases: modelAliasesSchema.parse(JSON.parse(text)), aliasesProblem: null }
  } catch {
    return { aliases: {}, aliasesProblem: 'aliases.json is not of the form {"stable": "1"}.' }
  }
}

async function sign(folder: string): Promise<string> {
  const files = await describeFiles(folder, '', 0)
  return createHash('sha256').update(files.toSorted().join('\n')).digest('hex').slice(0, 16)
}

async function describeFiles(folder: string, under: string, depth: number): Promise<string[]> {
  const entries = await readdir(folder).catch(() => [])
  const described = await Promise.all(
    entries.filter(matters).map(async (entry) => {
      const path = `${under}/${entry}`
      const found = await stat(join(folder, entry)).catch(() => null)
      if (found === null) return [path]
      if (found.isDirectory()) return depth < maxDepth ? describeFiles(join(folder, entry), path, depth + 1) : []
      return [`${path} ${found.size} ${found.mtimeMs} ${found.ino}`]
    }),
  )
  return described.flat()
}

/** Cards, examples, aliases and hidden files are no reason to load a model again. */
function matters(entry: string): boolean {
  return !entry.startsWith('.') && !entry.endsWith('.md') && entry !== 'examples' && entry !== 'aliases.json'
}
