import { randomUUID } from 'node:crypto'
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'

import { StartError } from './start-error.ts'

interface Options {
  /** Where a relative folder begins. */
  root: string
  /** DATA_DIR, or its default. */
  folder: string
  /** Whether somebody chose the folder. If nobody did, another one is taken when it can't be written. */
  given: boolean
  env: Record<string, string | undefined>
  say: (line: string) => void
}

/**
 * Makes the folder of DATA_DIR and tries that this process can write there. Returns its absolute path. The default
 * lies in the checkout, which may belong to another user: then it is the user's state folder. Throws StartError,
 * which names the path and the setting.
 */
export async function openDataFolder({ root, folder, given, env, say }: Options): Promise<string> {
  const wanted = resolve(root, folder)
  const problem = await problemOf(wanted)
  if (problem === null) return wanted
  const state = userFolder(env, 'XDG_STATE_HOME', '.local/state')
  if (given || !problem.denied || state === null) throw new StartError(sentence(wanted, problem.words))
  if ((await problemOf(state)) !== null) {
    throw new StartError(
      `Neither ${wanted} nor ${state} can be written by this user, and the data need a folder. ` +
        'Choose one that can be: DATA_DIR=/path/to/folder npm start',
    )
  }
  say(`${wanted} can not be written by this user: the data go to ${state}. DATA_DIR chooses another folder.`)
  return state
}

/** Does something there. What the file system refuses is thrown as StartError, which names the folder and the setting. */
export async function inDataFolder<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const words = wordsFor(error)
    throw words === null ? error : new StartError(sentence(folder, words))
  }
}

/**
 * A folder of this project among the user's own: `variable` of the XDG base directory specification, or `fallback`
 * under the home folder. Null if the user has none.
 */
export function userFolder(
  env: Record<string, string | undefined>,
  variable: 'XDG_STATE_HOME' | 'XDG_CACHE_HOME',
  fallback: string,
): string | null {
  const chosen = env[variable] ?? ''
  // The specification: a relative path is to be ignored.
  if (isAbsolute(chosen)) return join(chosen, 'vision-queue')
  const home = env['HOME'] || homedir()
  return isAbsolute(home) ? join(home, fallback, 'vision-queue') : null
}

function sentence(folder: string, words: string): string {
  return `DATA_DIR is ${folder}, which ${words}. Choose another folder: DATA_DIR=/path/to/folder npm start`
}

async function problemOf(folder: string): Promise<{ words: string; denied: boolean } | null> {
  try {
    await makeFolder(folder)
    // Rights, a read-only file system and a full disk show for certain only when something is written.
    const trial = join(folder, `write-test-${randomUUID()}`)
    await writeFile(trial, 'vision-queue')
    await rm(trial)
    return null
  } catch (error) {
    const words = wordsFor(error)
    if (words === null) throw error
    return { words, denied: ['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error)) }
  }
}

/** mkdir with `recursive` says ENOENT of a read-only file system. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOENT' && dirname(folder) !== folder) {
      await makeFolder(dirname(folder))
      await mkdir(folder)
      return
    }
    if (!(await stat(folder).catch(() => null))?.isDirectory()) throw error
  }
}

const wordsByCode: Readonly<Record<string, string>> = {
  EEXIST: 'is a file and not a folder',
  ENOTDIR: 'is a file, or lies below one, and not a folder',
  EACCES: 'this user may not write',
  EPERM: 'this user may not write',
  EROFS: 'lies on a read-only file system',
  ENOSPC: 'lies on a full disk: make room there',
  EDQUOT: "lies on a disk where this user's quota is used up",
  ENOENT: 'can not be made, because the folder above it does not exist',
  ENAMETOOLONG: 'is too long for a path',
  ELOOP: 'goes through symbolic links in a circle',
  EIO: 'lies on a disk that reports an input/output error',
}

function wordsFor(error: unknown): string | null {
  return wordsByCode[codeOf(error)] ?? null
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
