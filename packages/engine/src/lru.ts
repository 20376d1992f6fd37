/** A map of at most `limit` entries that forgets the least recently used. */
export interface Lru<Key, Value> {
  get: (key: Key) => Value | undefined
  has: (key: Key) => boolean
  set: (key: Key, value: Value) => void
}

export function createLru<Key, Value>(limit: number): Lru<Key, Value> {
  // A Map keeps the order of insertion: the first is the one used longest ago.
  const entries = new Map<Key, Value>()
  return {
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    has: (key) => entries.has(key),
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      if (entries.size <= limit) return
      for (const oldest of entries.keys()) {
        entries.delete(oldest)
        return
      }
    },
  }
}
