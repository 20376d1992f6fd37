import { openDurableConnection } from '@vision-queue/redis'

const quiet = { info() {}, warn() {}, error() {} }

/** A connection of the harness's own; the transport's, as it alone knows the client library. */
export type RedisView = ReturnType<typeof openDurableConnection>

/** Close it with `disconnect()`. Its commands wait while Redis is away. */
export function openRedisView(redisUrl: string): RedisView {
  return openDurableConnection({ redisUrl, log: quiet, name: 'chaos' })
}
