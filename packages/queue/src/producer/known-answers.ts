import type { CachedAnswer } from '../cached-answer.ts'
import { LRUCache } from 'lru-cache'

/**
 * The answers that this process has met lately, in its own memory: one that is here costs no look at
 * Redis. Each lives as long as it does there, or until others that were used later need its place.
 */
export interface KnownAnswers {
  get(digest: string): CachedAnswer | null
  add(digest: string, answer: CachedAnswer): void
}

/** `maxBytes`: roughly, as the length of their JSON. 0: remembers nothing. */
export function createKnownAnswers(maxBytes: number): KnownAnswers {
  if (maxBytes === 0) return { get: () => null, add() {} }
  const answers = new LRUCache<string, CachedAnswer>({ maxSize: maxBytes, ttlAutopurge: false })
  return {
    get: (digest) => answers.get(digest) ?? null,
    add(digest, answer) {
      const ttl = answer.expiresAt - Date.now()
      if (ttl > 0) answers.set(digest, answer, { ttl, size: 200 + JSON.stringify(answer).length })
    },
  }
}
