import type { RedisClient } from '@vision-queue/redis'

/**
 * Reads strings: all those of one turn of the event loop by one command, on a Cluster by one for each hash tag. So every
 * key has a tag.
 */
export type TurnReader = (key: string) => Promise<string | null>

interface Asked {
  key: string
  resolve: (value: string | null) => void
  reject: (error: unknown) => void
}

const opened = new WeakMap<RedisClient, TurnReader>()

/** What reads over this connection, for all who ask. */
export function turnReaderOf(redis: RedisClient): TurnReader {
  const known = opened.get(redis) ?? createTurnReader(redis)
  opened.set(redis, known)
  return known
}

function createTurnReader(redis: RedisClient): TurnReader {
  let asked: Asked[] = []

  const readAll = async (some: Asked[]): Promise<void> => {
    try {
      const values = await redis.mget(some.map(({ key }) => key))
      for (const [index, { resolve }] of some.entries()) resolve(values[index] ?? null)
    } catch (error) {
      for (const { reject } of some) reject(error)
    }
  }
  const send = (): void => {
    const groups = new Map<string, Asked[]>()
    for (const one of asked) {
      const tag = redis.isCluster ? tagOf(one.key) : ''
      const group = groups.get(tag)
      if (group === undefined) groups.set(tag, [one])
      else group.push(one)
    }
    asked = []
    for (const group of groups.values()) void readAll(group)
  }

  return async (key) =>
    new Promise((resolve, reject) => {
      if (asked.length === 0) setImmediate(send)
      asked.push({ key, resolve, reject })
    })
}

function tagOf(key: string): string {
  return /\{([^}]+)\}/.exec(key)?.[1] ?? key
}
