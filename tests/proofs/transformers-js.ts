import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What others run such folders with, in the version that our tests are held to. */
export const transformersJs = { library: '@huggingface/transformers', version: '4.3.1' } as const

/**
 * Installs Transformers.js into a folder, for programs that are copied beside it: 470 MB, so that it is no dependency.
 * Resolves to why it can't be had here, or null.
 */
export async function installTransformersJs(folder: string): Promise<string | null> {
  const { library, version } = transformersJs
  await writeFile(join(folder, 'package.json'), '{"private":true}')
  const install = ['install', '--no-audit', '--no-fund', '--ignore-scripts', `${library}@${version}`]
  return promisify(execFile)('npm', install, { cwd: folder }).then(
    () => null,
    (error: unknown) => `${library} ${version} can't be had here (${String(error)})`,
  )
}
