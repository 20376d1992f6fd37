import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

import { bundlePath, cacheFolders } from './bundle-file.cjs'
import { bundle } from './bundle.ts'

/**
 * `make.ts <entry>...` makes the bundles of programs ahead of their first start, for where nothing can be written
 * later, such as in an image with a read-only root. They go where run.cjs looks first.
 */
const [folder] = cacheFolders()
if (folder === undefined) throw new Error('BUNDLES=off: there is no folder for bundles.')
for (const each of process.argv.slice(2)) {
  const entry = resolve(each)
  const path = bundlePath(folder, entry)
  const temporary = `${path}.${process.pid}`
  await mkdir(dirname(path), { recursive: true })
  await writeFile(temporary, await bundle(entry, path))
  await rename(temporary, path)
}
