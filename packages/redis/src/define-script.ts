import type { RedisClient } from './redis-connection.ts'

type ScriptArgument = string | number | Buffer

/** Registers a Lua script with the connection: sent by its hash, and whole when Redis doesn't know it yet. */
export function defineScript(
  redis: RedisClient,
  name: string,
  numberOfKeys: number,
  lua: string,
): (args: ScriptArgument[]) => Promise<unknown> {
  redis.defineCommand(name, { numberOfKeys, lua })
  const command: unknown = Reflect.get(redis, name)
  if (typeof command !== 'function') throw new Error(`ioredis did not define ${name}`)
  return async (args) => Reflect.apply(command, redis, args)
}
