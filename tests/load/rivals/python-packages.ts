import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { libraryPath, unpackPackages } from '@vision-queue/local/debian-packages'

import { z } from 'zod'

/** Debian's Python: its packages are compiled for this one. */
export const python = '/usr/bin/python3'

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
  /** Variables with which `python` finds them. */
  env: Record<string, string>
  /** By library. */
  versions: Record<string, string>
}

/**
 * Celery, RQ and FastAPI from the distribution's packages, unpacked once into `folder` and not installed:
 * no root, nothing changed on the system. Resolves to the reason where that can't be done.
 */
export async function openPythonPackages(folder: string): Promise<PythonPackages | { reason: string }> {
  if (!(await canRun(python))) return { reason: `there is no ${python}` }
  const found = await openTree(folder)
  if (found !== null) return found
  console.log('Unpacking Celery, RQ and FastAPI from the distribution’s packages, once, without installing them.')
  try {
    const signal = AbortSignal.timeout(180_000)
    return await unpackPackages({ packages, folder, open: openTree, env: process.env, signal })
  } catch (error) {
    const message = error instanceof Error ? error.message.trim() : String(error)
    return { reason: `the distribution’s Python packages can’t be had: ${message}` }
  }
}

async function openTree(tree: string): Promise<PythonPackages | null> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    PYTHONPATH: join(tree, 'usr/lib/python3/dist-packages'),
    LD_LIBRARY_PATH: await libraryPath(tree),
    // No __pycache__ beside the sources; the modules are compiled once per start, before anything is measured.
    PYTHONDONTWRITEBYTECODE: '1',
  }
  try {
    const { stdout } = await promisify(execFile)(python, [join(pythonFolder, 'versions.py')], { env })
    return { env, versions: versionsSchema.parse(JSON.parse(stdout)) }
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
