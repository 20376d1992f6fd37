import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

import { Skipped } from './proof.ts'

const execute = promisify(execFile)

/** The root of the repository, without a slash at its end. */
export const root = new URL('../..', import.meta.url).pathname.replace(/\/$/, '')

/** Runs a program to its end and resolves to what it printed; rejects with its last words where it fails. */
export async function run(file: string, args: readonly string[], cwd = root): Promise<string> {
  try {
    const { stdout } = await execute(file, args, { cwd, maxBuffer: 64 * 1024 * 1024 })
    return stdout.trim()
  } catch (error) {
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr) : ''
    const stdout = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    const words = `${stdout}\n${stderr}`.trim().slice(-4000)
    throw new Error(`${file} ${args.join(' ')} failed:\n${words || String(error)}`, { cause: error })
  }
}

/** Whether the program is on PATH, or in the folders of administrators, which users' PATHs lack. */
export async function findProgram(name: string): Promise<string | null> {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']) {
    const path = join(folder, name)
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (folder !== '' && found) return path
  }
  return null
}

/** Rejects with Skipped where a program is missing. By default its Debian package has its name. */
export async function need(...programs: readonly string[]): Promise<void> {
  const found = await Promise.all(programs.map(findProgram))
  const missing = programs.filter((_, index) => found[index] === null)
  if (missing.length === 0) return
  throw new Skipped(
    `${missing.join(', ')} missing (Debian: apt-get install --no-install-recommends ${missing.join(' ')}).`,
  )
}

export function needRoot(why: string): void {
  if (process.getuid?.() !== 0) throw new Skipped(`It needs root: ${why}.`)
}
