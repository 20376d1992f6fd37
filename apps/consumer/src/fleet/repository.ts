import { createHash } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { toModelName, versionFolders } from '@vision-queue/models'
import { type ModelAliases, modelAliasesSchema, modelNameSchema } from '@vision-queue/protocol'

import type { FolderVisitor } from './change-hints.ts'

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

const indifferent: FolderVisitor = { async folder() {}, link() {} }
const aliasesFile = 'aliases.json'
const noAliases = { aliases: {}, aliasesProblem: null }

/** Deep enough for `onnx/` and what lies in it; a link that leads back up ends there. */
const maxDepth = 4

/**
 * Looks at `<repository>/<name>/<version>/`, or `<repository>/<name>/` of a model without versions. Rejects where the
 * repository itself can't be read, which is not the same as an empty one. Names that are no model's or version's are
 * passed over. `visitor` is told of every folder that is read.
 */
export async function readRepository(
  repository: string,
  visitor: FolderVisitor = indifferent,
): Promise<RepositoryView> {
  await visitor.folder(repository)
  const entries = await readdir(repository, { withFileTypes: true })
  if (entries.some((entry) => entry.isSymbolicLink())) visitor.link()
  const view: RepositoryView = new Map()
  for (const { name } of entries) {
    if (!modelNameSchema.safeParse(name).success) continue
    const model = await readModel(join(repository, name), visitor)
    if (model.versions.size > 0) view.set(name, model)
  }
  return view
}

/** Folders that hold a model and have a name that none may have, with the name that would do. */
export async function misnamedModels(repository: string): Promise<{ folder: string; better: string }[]> {
  const found: { folder: string; better: string }[] = []
  for (const entry of await list(repository, indifferent)) {
    if (entry.isFile() || entry.name.startsWith('.') || modelNameSchema.safeParse(entry.name).success) continue
    if ((await versionFolders(join(repository, entry.name))).size > 0) {
      found.push({ folder: entry.name, better: toModelName(entry.name) })
    }
  }
  return found
}

async function readModel(folder: string, visitor: FolderVisitor): Promise<ModelInRepository> {
  const entries = await list(folder, visitor)
  const versions = new Map<string, VersionFolder>()
  for (const [version, at] of await versionFolders(folder, entries)) {
    versions.set(version, { folder: at, signature: await sign(at, visitor) })
  }
  const hasAliases = entries.some(({ name }) => name === aliasesFile)
  return { versions, ...(hasAliases ? await readAliases(join(folder, aliasesFile)) : noAliases) }
}

async function readAliases(path: string): Promise<Omit<ModelInRepository, 'versions'>> {
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return noAliases
  try {
    return { aliases: modelAliasesSchema.parse(JSON.parse(text)), aliasesProblem: null }
  } catch {
    return { aliases: {}, aliasesProblem: 'aliases.json is not of the form {"stable": "1"}.' }
  }
}

async function sign(folder: string, visitor: FolderVisitor): Promise<string> {
  const files = await describeFiles(folder, { under: '', depth: 0, visitor })
  return createHash('sha256').update(files.toSorted().join('\n')).digest('hex').slice(0, 16)
}

async function describeFiles(
  folder: string,
  { under, depth, visitor }: { under: string; depth: number; visitor: FolderVisitor },
): Promise<string[]> {
  const described: string[] = []
  // One after the other: each is a visit to a thread of Node's pool, and side by side they wake all of them.
  for (const entry of await list(folder, visitor)) {
    if (!matters(entry.name)) continue
    const [at, path] = [join(folder, entry.name), `${under}/${entry.name}`]
    if (await isFolder(at, entry)) {
      if (depth < maxDepth) described.push(...(await describeFiles(at, { under: path, depth: depth + 1, visitor })))
    } else {
      const found = await stat(at).catch(() => null)
      described.push(found === null ? path : `${path} ${found.size} ${found.mtimeMs} ${found.ino}`)
    }
  }
  return described
}

/** Empty where it is no folder, or can't be read. */
async function list(folder: string, visitor: FolderVisitor): Promise<Dirent[]> {
  await visitor.folder(folder)
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  if (entries.some((entry) => entry.isSymbolicLink())) visitor.link()
  return entries
}

/** A link is what it leads to. Not all file systems say what an entry is. */
async function isFolder(path: string, entry: Dirent): Promise<boolean> {
  if (entry.isDirectory() || entry.isFile()) return entry.isDirectory()
  return (await stat(path).catch(() => null))?.isDirectory() === true
}

/** Cards, examples, aliases and hidden files are no reason to load a model again. */
function matters(entry: string): boolean {
  return !entry.startsWith('.') && !entry.endsWith('.md') && entry !== 'examples' && entry !== 'aliases.json'
}
