import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'

import type { RedisServer } from './find-redis.ts'

/** How a Redis that is started here is reached, and by whom. */
export interface RedisAccess {
  /** For the apps. */
  env: { REDIS_URL: string; ENGINE_REDIS_URL: string }
  /** For Redis, as they stand on its command line. */
  settings: string[]
}

/** The user of the engines, as docs/security.md has it. */
const engineUser = 'vq-engine'
const engineRights = 'resetchannels %R~vq:{blob:*}:bytes -@all +get +select +client|setname +cluster|slots'
/** The bytes of a path that every system has room for in the address of a Unix socket. */
const longestSocketPath = 100

/**
 * Everybody on this machine may reach the port. The apps come by a Unix socket where there can be one, which costs less,
 * and the engines with a user of their own, who may only read images. Its password is a new one each time; Redis is told
 * the hash of it, because other users of the machine see a command line.
 */
export async function redisAccess({
  server,
  port,
  folder,
}: {
  server: RedisServer
  port: number
  folder: string
}): Promise<RedisAccess> {
  const password = randomBytes(32).toString('hex')
  const hash = createHash('sha256').update(password).digest('hex')
  const user = ['--user', engineUser, 'on', `#${hash}`, ...engineRights.split(' ')]
  const path = join(folder, 'redis.sock')
  if (server.kind === 'docker' || !(await canHoldSocket(path))) {
    const host = `127.0.0.1:${port}`
    const env = { REDIS_URL: `redis://${host}`, ENGINE_REDIS_URL: `redis://${engineUser}:${password}@${host}` }
    return { env, settings: user }
  }
  const encoded = path.split('/').map(encodeURIComponent).join('/')
  const env = {
    REDIS_URL: `redis+unix://${encoded}`,
    ENGINE_REDIS_URL: `redis+unix://${engineUser}:${password}@localhost${encoded}`,
  }
  return { env, settings: [...user, '--unixsocket', path, '--unixsocketperm', '700'] }
}

/** Not where the path is too long, nor on some network and shared file systems. */
async function canHoldSocket(path: string): Promise<boolean> {
  const probe = `${path}.try`
  if (process.platform === 'win32' || Buffer.byteLength(probe) > longestSocketPath) return false
  const server = createServer()
  try {
    server.listen(probe)
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
