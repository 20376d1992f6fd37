import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { libraryPath, unpackPackages } from './debian-packages.ts'

const run = promisify(execFile)

/** A Redis of our own: the program and the folders of the libraries that came with it. */
export interface UnpackedRedis {
  path: string
  /** For LD_LIBRARY_PATH. */
  libraryPath: string
}

/** The unpacked package from an earlier time, if it is there and runs on this system; needs no network. */
export async function unpackedRedis(folder: string): Promise<UnpackedRedis | null> {
  const redis: UnpackedRedis = {
    path: join(folder, 'usr/bin/redis-server'),
    libraryPath: await libraryPath(folder),
  }
  try {
    await run(redis.path, ['--version'], { env: { LD_LIBRARY_PATH: redis.libraryPath } })
    return redis
  } catch {
    return null
  }
}

interface Options {
  /** Where it is unpacked to. Two processes may do so at once: both end up with one whole tree. */
  folder: string
  env: Record<string, string | undefined>
  signal: AbortSignal
}

/** Debian and Ubuntu: the distribution's redis-server, without root. Throws with apt's own words where that fails. */
export async function unpackRedisPackage(options: Options): Promise<UnpackedRedis> {
  return unpackPackages({ ...options, packages: ['redis-server'], open: unpackedRedis })
}
