import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { type Variant, variantsOf } from './compositions.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

/** Another revision of this repository, ready to be started. */
export interface Revision {
  variants: Variant[]
  close(): Promise<void>
}

/**
 * Checks out a git revision in a worktree of its own inside `folder` and installs what it needs: from pnpm's own
 * store where that has it, else from the network. Rejects where there is no such revision.
 */
export async function openRevision(name: string, folder: string): Promise<Revision> {
  const tree = join(folder, 'revision/')
  const git = async (...args: string[]): Promise<unknown> => run('git', ['-C', root, ...args])
  await git('worktree', 'add', '--detach', tree, name)
  const close = async (): Promise<void> => void (await git('worktree', 'remove', '--force', tree))
  try {
    const install = ['--yes', '--prefer-offline', 'pnpm@12.21.0', 'install', '--frozen-lockfile', '--prefer-offline']
    await run('npx', install, { cwd: tree })
    return { variants: variantsOf(tree, name), close }
  } catch (error) {
    await close()
    throw error
  }
}
