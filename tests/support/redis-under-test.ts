import { access, constants } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { findRedisServer, type RedisServer } from '@vision-queue/local/find-redis'

/**
 * The server that tests start: the program that TEST_REDIS names, by its path or by its name on PATH, such as
 * `valkey-server`; where it names none, the one that `npm start` finds. Rejects where there is no such program: tests of
 * one server must not pass on another.
 */
export async function findRedisUnderTest(env: Record<string, string | undefined> = process.env): Promise<RedisServer> {
  const wanted = env['TEST_REDIS'] ?? ''
  if (wanted === '') {
    const cacheFolder = fileURLToPath(new URL('../../.vision-queue/redis-package', import.meta.url))
    return findRedisServer({ cacheFolder, env, say: (line) => console.log(line) })
  }
  const folders = (env['PATH'] ?? '').split(delimiter)
  const paths = isAbsolute(wanted) ? [wanted] : folders.map((folder) => join(folder, wanted))
  for (const path of paths) {
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (runs) return { kind: 'binary', path, libraryPath: null }
  }
  throw new Error(`TEST_REDIS: ${wanted} is no absolute path of a program, nor the name of one on PATH`)
}
