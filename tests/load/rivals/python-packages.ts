import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { libraryPath, unpackPackages } from '@vision-queue/local/debian-packages'

import { z } from 'zod'

/** Debian's Python: its packages are compiled for this one. */
const debiansPython = '/usr/bin/python3'

/** Where the programs that run on it lie. */
export const pythonFolder = fileURLToPath(new URL('python/', import.meta.url))

/**
 * What the contenders are made of. uvloop, httptools and hiredis are what `uvicorn[standard]` and
 * `redis[hiredis]` would bring: compiled parts that make them faster.
 */
const packages = [
  'python3-celery',
  'python3-rq',
  'python3-fastapi',
  'python3-uvicorn',
  'python3-uvloop',
  'python3-httptools',
  'python3-redis',
  'python3-hiredis',
]

const versionsSchema = z.record(z.string(), z.string())

/** The contenders' libraries, found and tried. */
export interface PythonPackages {
  /** The interpreter to run them with. */
  python: string
  /** Variables with which it finds them. */
  env: Record<string, string>
  /** By library. */
  versions: Record<string, string>
}

interface Options {
  folder: string
  env: Record<string, string | undefined>
  python?: string
}

/**
 * Celery, RQ and FastAPI from the distribution's packages, unpacked once into `folder` and not installed:
 * no root, nothing changed on the system. Resolves to the reason where that can't be done.
 */
export async function openPythonPackages({
  folder,
  env,
  python = debiansPython,
}: Options): Promise<PythonPackages | { reason: string }> {
  const openTree = async (tree: string): Promise<PythonPackages | null> => openPackageTree(tree, python, env)
  if (!(await canRun(python))) return { reason: `there is no ${python}` }
  const found = await openTree(folder)
  if (found !== null) return found
  console.log('Unpacking Celery, RQ and FastAPI from the distribution’s packages, once, without installing them.')
  try {
    const signal = AbortSignal.timeout(180_000)
    return await unpackPackages({ packages, folder, open: openTree, env, signal })
  } catch (error) {
    const message = error instanceof Error ? error.message.trim() : String(error)
    return { reason: `the distribution’s Python packages can’t be had: ${message}` }
  }
}

async function openPackageTree(tree: string, python: string, env: Options['env']): Promise<PythonPackages | null> {
  const pythonEnv = {
    PATH: env['PATH'] ?? '',
    PYTHONPATH: join(tree, 'usr/lib/python3/dist-packages'),
    LD_LIBRARY_PATH: await libraryPath(tree),
    // Compiled modules lie with the packages, not beside our sources.
    PYTHONPYCACHEPREFIX: join(tree, 'pycache'),
  }
  try {
    const { stdout } = await promisify(execFile)(python, [join(pythonFolder, 'versions.py')], { env: pythonEnv })
    return { python, env: pythonEnv, versions: versionsSchema.parse(JSON.parse(stdout)) }
  } catch {
    return null
  }
}

async function canRun(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
