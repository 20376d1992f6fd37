import { Cluster } from 'ioredis'

import type { RedisClient } from './redis-connection.ts'

/** What one Redis server tells of itself. */
export interface RedisFigures {
  /** Its address; empty where there is only one. */
  node: string
  usedBytes: number
  /** Beyond this it refuses writes; 0: unlimited. */
  maxBytes: number
  clients: number
  /** Whether the last write to the append-only file, and the last snapshot, went well. */
  appendOnlyOk: boolean
  snapshotOk: boolean
  /** How long it took to answer, in milliseconds. */
  answerMs: number
}

/** Asks Redis, each master of a Cluster. A node that answers nothing is left out. */
export async function readRedisFigures(redis: RedisClient): Promise<RedisFigures[]> {
  const nodes = redis instanceof Cluster ? redis.nodes('master') : [redis]
  const asked = nodes.map(async (node): Promise<RedisFigures[]> => {
    try {
      const startedAt = performance.now()
      await node.ping()
      const answerMs = performance.now() - startedAt
      const info = (await Promise.all(['memory', 'persistence', 'clients'].map(async (part) => node.info(part)))).join(
        '\n',
      )
      const address = redis.isCluster ? `${node.options.host}:${node.options.port}` : ''
      return [{ node: address, answerMs, ...figuresIn(info) }]
    } catch {
      return []
    }
  })
  return (await Promise.all(asked)).flat()
}

/** From Redis' INFO; what isn't there counts as 0 or well. */
export function figuresIn(info: string): Omit<RedisFigures, 'node' | 'answerMs'> {
  const fields = new Map(
    info.split(/\r?\n/).map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
  const count = (name: string): number => Number(fields.get(name) ?? 0) || 0
  const isWell = (name: string): boolean => (fields.get(name) ?? 'ok') === 'ok'
  return {
    usedBytes: count('used_memory'),
    maxBytes: count('maxmemory'),
    clients: count('connected_clients'),
    appendOnlyOk: isWell('aof_last_write_status'),
    snapshotOk: isWell('rdb_last_bgsave_status'),
  }
}
