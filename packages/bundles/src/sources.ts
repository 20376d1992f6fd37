import { readFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

import type { Loader, OnLoadResult } from 'esbuild'

const loaders: Record<string, Loader> = { '.ts': 'ts', '.mts': 'ts', '.cts': 'ts', '.json': 'json' }

/** In place of a map of its own, so that the map of the bundle doesn't tell where in a dependency something stood. */
const noMap = `\n//# sourceMappingURL=data:application/json;base64,${btoa('{"version":3,"sources":[""],"mappings":"AAAA"}')}`

/** The files that are read for a bundle. */
export interface Sources {
  /** By path; null: there was none. */
  readonly contents: ReadonlyMap<string, Uint8Array | null>
  read: (path: string) => Uint8Array | null
  /** For the bundler: the file's text, in which what Node says of a module's place is said in words. */
  load: (path: string) => OnLoadResult
}

/** None was read yet. */
export function createSources(): Sources {
  const contents = new Map<string, Uint8Array | null>()

  function read(path: string): Uint8Array | null {
    let content = contents.get(path)
    if (content === undefined) {
      content = readOrNull(path)
      contents.set(path, content)
    }
    return content
  }

  /** The nearest one decides how a file is understood and what its package's names stand for. */
  function packageOf(folder: string): string {
    const path = join(folder, 'package.json')
    const content = read(path)
    if (content !== null || dirname(folder) === folder) return Buffer.from(content ?? '{}').toString()
    contents.delete(path)
    return packageOf(dirname(folder))
  }

  return {
    contents,
    read,
    load(path) {
      const text = Buffer.from(read(path) ?? '').toString()
      const manifest = packageOf(dirname(path))
      const loader = loaders[extname(path)] ?? 'js'
      if (loader === 'json') return { contents: text, loader }
      const isCommonJs = path.endsWith('.cjs') || (path.endsWith('.js') && !/"type"\s*:\s*"module"/.test(manifest))
      const placed = isCommonJs ? nameFolder(text, path) : nameModule(text, path)
      return { contents: path.includes('/node_modules/') ? placed + noMap : placed, loader }
    },
  }
}

function readOrNull(path: string): Uint8Array | null {
  try {
    return readFileSync(path)
  } catch {
    return null
  }
}

function nameModule(text: string, path: string): string {
  return text
    .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
    .replaceAll('import.meta.filename', JSON.stringify(path))
    .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
}

function nameFolder(text: string, path: string): string {
  if (!/\b__(?:dir|file)name\b/.test(text)) return text
  const strict = /^\s*(['"])use strict\1/.test(text) ? "'use strict';" : ''
  return `${strict}var __dirname=${JSON.stringify(dirname(path))},__filename=${JSON.stringify(path)};${text}`
}
