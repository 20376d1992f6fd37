import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'

import { type ApiKey, apiKeySchema, isUsable } from '../api-key.ts'
import { apiKeysKey } from '../keys.ts'
import { LRUCache } from 'lru-cache'
import { customAlphabet } from 'nanoid'

import { parseJson } from '@vision-queue/redis'
import { guarded, openFailFastConnection, type TransportLog } from '@vision-queue/redis'
import { createRequestRates, type RequestRate } from './request-rate.ts'

/**
 * API keys, `vq_<id>_<secret>`. The id names the key and is no secret; the secret has 190 bits, so nobody
 * guesses it, and SHA-256 is enough to keep it: a slow hash as for passwords protects what people make up, and
 * here would only cost a tenth of a second of CPU in every request, for whoever sends one.
 */
export interface ApiKeys {
  /** The key itself is given here and never again. */
  create(wanted: Pick<ApiKey, 'name' | 'scopes' | 'limits' | 'expiresAt'>): Promise<{ key: string; stored: ApiKey }>
  /** All there ever were, oldest first; revoked ones stay, so that old job owners and log lines keep a name. */
  list(): Promise<ApiKey[]>
  /** False where no such key is good. Processes that have it in memory take it for `cacheMs` more. */
  revoke(id: string): Promise<boolean>
  /** Null where the key is unknown, wrong, expired or revoked. Compared in constant time; remembered for `cacheMs`. */
  verify(key: string): Promise<ApiKey | null>
  /** Whether any key is good; waits so long for Redis to be reached. */
  hasUsable(timeoutMs: number): Promise<boolean>
  /** Counts a request of the key against its limit; null where it has none. */
  countRequest(key: Pick<ApiKey, 'id' | 'limits'>): Promise<RequestRate | null>
  close(): void
}

export interface ApiKeysOptions {
  redisUrl: string
  commandTimeoutMs: number
  /** For how long a key that was looked up is taken as it was: so long may a revoked one still open. */
  cacheMs: number
  log: TransportLog
}

/** The form of a key; what has another is none. */
const keyPattern = /^vq_([0-9A-Za-z]{12})_[0-9A-Za-z]{32}$/

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const newId = customAlphabet(alphabet, 12)
/** 32 of 62 characters: 190 bits, from the system's random source. */
const newSecret = customAlphabet(alphabet, 32)

/** How many looked-up keys are remembered, known and unknown ones: guesses push out others, no more. */
const maxRemembered = 10_000

/** Every call rejects with `queue_unavailable` while Redis can't be reached: nobody gets in unchecked. */
export function openApiKeys({ cacheMs, ...options }: ApiKeysOptions): ApiKeys {
  const redis = openFailFastConnection({ ...options, name: 'api-keys' })
  const count = createRequestRates(redis)
  const read = async (id: string): Promise<ApiKey | null> => {
    const text = await redis.hget(apiKeysKey, id)
    const parsed = apiKeySchema.safeParse(text === null ? null : parseJson(text))
    return parsed.success ? parsed.data : null
  }
  const write = async (key: ApiKey): Promise<void> => {
    await redis.hset(apiKeysKey, key.id, JSON.stringify(key))
  }
  // Those who ask for one at the same time share one look.
  const remembered = new LRUCache<string, { key: ApiKey | null }>({
    max: maxRemembered,
    ttl: Math.max(1, cacheMs),
    fetchMethod: async (id) => ({ key: await read(id) }),
  })
  const verify = async (key: string): Promise<ApiKey | null> => {
    const id = keyPattern.exec(key)?.[1]
    if (id === undefined) return null
    const stored = (await remembered.fetch(id))?.key ?? null
    const matches = timingSafeEqual(digestOf(key), Buffer.from(stored?.digest ?? noDigest, 'base64url'))
    return stored !== null && matches && isUsable(stored, Date.now()) ? stored : null
  }

  const list = async (): Promise<ApiKey[]> => {
    const texts = Object.values(await guarded(redis.hgetall(apiKeysKey)))
    const keys = texts.flatMap((text) => {
      const parsed = apiKeySchema.safeParse(parseJson(text))
      return parsed.success ? [parsed.data] : []
    })
    return keys.toSorted((a, b) => a.createdAt - b.createdAt)
  }

  return {
    async create(wanted) {
      const id = newId()
      const key = `vq_${id}_${newSecret()}`
      const digest = digestOf(key).toString('base64url')
      const stored = apiKeySchema.parse({ ...wanted, id, digest, createdAt: Date.now(), revokedAt: null })
      await guarded(write(stored))
      return { key, stored }
    },
    list,
    async revoke(id) {
      const stored = await guarded(read(id))
      if (stored === null || stored.revokedAt !== null) return false
      await guarded(write({ ...stored, revokedAt: Date.now() }))
      remembered.delete(id)
      return true
    },
    verify: async (key) => guarded(verify(key)),
    async hasUsable(timeoutMs) {
      if (redis.status !== 'ready') {
        await guarded(once(redis, 'ready', { signal: AbortSignal.timeout(timeoutMs) }))
      }
      return (await list()).some((key) => isUsable(key, Date.now()))
    },
    async countRequest({ id, limits }) {
      return limits.requestsPerMinute === null ? null : guarded(count(id, limits.requestsPerMinute))
    },
    close() {
      redis.disconnect()
    },
  }
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/** Of nothing: what an unknown key is compared with, so that it takes as long as a wrong one. */
const noDigest = Buffer.alloc(32).toString('base64url')
