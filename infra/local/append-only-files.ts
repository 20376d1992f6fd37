import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { shellWord } from './shell-word.ts'
import { StartError } from './start-error.ts'

/** What Redis keeps its data in: a folder of a base, what was appended since, and a list of them, the manifest. */
export interface AppendOnlyFiles {
  folder: string
  manifest: string
  /** In the order in which Redis reads them; the last one is the one that Redis appends to. */
  names: readonly string[]
}

/** The names that Redis gives, because we choose no others: folder, manifest, and `appendonly.aof.1.incr.aof`. */
const folderName = 'appendonlydir'
const manifestName = 'appendonly.aof.manifest'
const dataName = /^appendonly\.aof\.(?<seq>\d+)\.(?<kind>base|incr)\.(?:rdb|aof)$/
const manifestLine = /^file "?(?<name>appendonly\.aof\.[\w.]+?)"? seq \d+ type (?<type>[bhi])\b/

/**
 * Looks at the names and sizes of Redis' data before it starts; null if there are none yet. Redis starts on some
 * broken sets of files as if they were empty and then writes over them, so this throws StartError for those, and for
 * those that Redis refuses. The message says what to do. Nothing is changed.
 */
export async function readAppendOnlyFiles(redisFolder: string): Promise<AppendOnlyFiles | null> {
  const folder = join(redisFolder, folderName)
  const manifest = join(folder, manifestName)
  const present: string[] = await readdir(folder).catch(() => [])
  const data = present.filter((name) => dataName.test(name))
  if (!present.includes(manifestName)) {
    if (data.length === 0) return null
    throw new StartError(manifestSentence('is missing', manifest, data, redisFolder))
  }
  const lines = (await readFile(manifest, 'utf8')).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  if (lines.length === 0) throw new StartError(manifestSentence('is empty', manifest, data, redisFolder))
  const entries = lines.map((line) => manifestLine.exec(line)?.groups)
  if (entries.includes(undefined)) {
    throw new StartError(manifestSentence('can not be read', manifest, data, redisFolder))
  }
  // History is what a rewrite has replaced: it is only to be deleted.
  const names = entries.flatMap((entry) => (entry?.['type'] === 'h' ? [] : [entry?.['name'] ?? '']))
  for (const name of names) await assertThere(join(folder, name), redisFolder)
  return { folder, manifest, names }
}

/** How to go on without the data, which stay where they are under another name. */
export function startEmptyAdvice(redisFolder: string): string {
  return `To start empty and keep these files aside: mv ${shellWord(redisFolder)} ${shellWord(`${redisFolder}.damaged`)}`
}

async function assertThere(path: string, redisFolder: string): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => null,
  )
  // Redis never writes an empty base. It would read one as no data at all.
  if (size !== null && (size > 0 || !path.includes('.base.'))) return
  throw new StartError(
    `A file of Redis' data is ${size === null ? 'missing' : 'empty'}: ${path}. ` +
      'Nothing was changed; put the file back from a copy if there is one. ' +
      startEmptyAdvice(redisFolder),
  )
}

function manifestSentence(what: string, manifest: string, data: readonly string[], redisFolder: string): string {
  const lines = deriveManifest(data)
  const cure =
    lines === null
      ? 'put it back from a copy if there is one.'
      : `to write it anew from the files beside it: printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} > ${shellWord(manifest)}`
  return (
    `Redis' list of its data files ${what}, as after a power cut: ${manifest}. ` +
    `Nothing was changed; ${cure}\n${startEmptyAdvice(redisFolder)}`
  )
}

/** With one base and one appended file there is one way to list them. With more, some may be history. */
function deriveManifest(data: readonly string[]): string[] | null {
  const bases = data.filter((name) => dataName.exec(name)?.groups?.['kind'] === 'base')
  const appended = data.filter((name) => dataName.exec(name)?.groups?.['kind'] === 'incr')
  if (bases.length !== 1 || appended.length !== 1) return null
  const lineOf = (name: string, type: string): string =>
    `file ${name} seq ${dataName.exec(name)?.groups?.['seq'] ?? ''} type ${type}`
  return [...bases.map((name) => lineOf(name, 'b')), ...appended.map((name) => lineOf(name, 'i'))]
}
