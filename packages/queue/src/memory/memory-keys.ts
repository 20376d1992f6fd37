import { VisionQueueError } from '@vision-queue/protocol'

import { type ApiKey, isUsable, type KeyLimits, type Scope } from '../api-key.ts'
import type { ApiKeys } from '../producer/api-keys.ts'

/** API keys in this process' memory; a minute never ends. */
export interface MemoryKeys extends ApiKeys {
  /** Makes one with these rights and gives it as it is sent. */
  add(scopes: Scope[], changes?: Partial<KeyLimits & Pick<ApiKey, 'expiresAt'>>): string
  /** While true every call rejects, as when Redis is away. */
  down: boolean
}

export const noLimits: KeyLimits = { requestsPerMinute: null, maxJobs: null, maxBytes: null }

export function openMemoryKeys(): MemoryKeys {
  const keys = new Map<string, ApiKey>()
  const requests = new Map<string, number>()
  const up = (): void => {
    if (memory.down) throw new VisionQueueError('queue_unavailable', 'The queue is away.', { retryAfterMs: 1000 })
  }
  const keep = ({ name, scopes, limits, expiresAt }: Parameters<ApiKeys['create']>[0]) => {
    const id = `key${String(keys.size).padStart(9, '0')}`
    const stored = { id, name, digest: '', scopes, limits, createdAt: keys.size, expiresAt, revokedAt: null }
    const key = `vq_${id}_${'s'.repeat(32)}`
    keys.set(key, stored)
    return { key, stored }
  }
  const memory: MemoryKeys = {
    down: false,
    add: (scopes, { expiresAt = null, ...limits } = {}) =>
      keep({ name: 'test', scopes, limits: { ...noLimits, ...limits }, expiresAt }).key,
    async create(wanted) {
      return keep(wanted)
    },
    async list() {
      return [...keys.values()]
    },
    async revoke(id) {
      const found = [...keys].find(([, key]) => key.id === id)
      if (found === undefined || found[1].revokedAt !== null) return false
      keys.set(found[0], { ...found[1], revokedAt: Date.now() })
      return true
    },
    async verify(key) {
      up()
      const stored = keys.get(key)
      return stored !== undefined && isUsable(stored, Date.now()) ? stored : null
    },
    async hasUsable() {
      up()
      return [...keys.values()].some((key) => isUsable(key, Date.now()))
    },
    async countRequest({ id, limits }) {
      up()
      const limit = limits.requestsPerMinute
      if (limit === null) return null
      const sent = (requests.get(id) ?? 0) + 1
      requests.set(id, sent)
      return { limit, remaining: Math.max(0, limit - sent), resetMs: 30_000, exceeded: sent > limit }
    },
    close() {},
  }
  return memory
}
