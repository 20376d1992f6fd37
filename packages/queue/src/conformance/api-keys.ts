import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import type { ApiKey, KeyLimits } from '../api-key.ts'
import type { ApiKeys } from '../producer/api-keys.ts'

const noLimits: KeyLimits = { requestsPerMinute: null, maxJobs: null, maxBytes: null }

/** What every store of API keys keeps to. `open` gives one without a key in it. */
export function describeApiKeys(name: string, open: () => Promise<ApiKeys>): void {
  let keys: ApiKeys
  beforeEach(async () => {
    keys = await open()
  })
  afterEach(() => {
    keys.close()
  })
  const create = async (
    changes: Partial<KeyLimits & Pick<ApiKey, 'expiresAt'>> = {},
  ): ReturnType<ApiKeys['create']> => {
    const { expiresAt = null, ...limits } = changes
    return keys.create({ name: 'shop', scopes: ['submit', 'read'], limits: { ...noLimits, ...limits }, expiresAt })
  }

  describe(`${name}, as every store,`, () => {
    test('know a key that was made, by the whole of it and nothing less', async () => {
      const { key, stored } = await create()
      expect(key).toMatch(/^vq_[0-9A-Za-z]{12}_[0-9A-Za-z]{32}$/)
      expect(await keys.verify(key)).toEqual(stored)
      for (const wrong of ['', stored.id, key.slice(0, -1), `${key}0`, `vq_${stored.id}_${'0'.repeat(32)}`]) {
        expect(await keys.verify(wrong)).toBeNull()
      }
    })

    test('list all keys, the oldest first, revoked ones too', async () => {
      const [first, second] = [await create(), await create()]
      expect(await keys.revoke(first.stored.id)).toBe(true)
      const listed = await keys.list()
      expect(new Set(listed.map(({ id }) => id))).toEqual(new Set([first.stored.id, second.stored.id]))
      expect(listed.map(({ createdAt }) => createdAt)).toEqual(
        listed.map(({ createdAt }) => createdAt).toSorted((a, b) => a - b),
      )
      expect(listed.find(({ id }) => id === first.stored.id)?.revokedAt).not.toBeNull()
    })

    test('do not know a key that was revoked, and revoke it once', async () => {
      const { key, stored } = await create()
      expect(await keys.revoke(stored.id)).toBe(true)
      expect(await keys.verify(key)).toBeNull()
      expect(await keys.revoke(stored.id)).toBe(false)
      expect(await keys.revoke('nobody000000')).toBe(false)
    })

    test('do not know a key that has expired', async () => {
      expect(await keys.verify((await create({ expiresAt: Date.now() - 1 })).key)).toBeNull()
      expect(await keys.verify((await create({ expiresAt: Date.now() + 60_000 })).key)).not.toBeNull()
    })

    test('tell whether any key is good', async () => {
      expect(await keys.hasUsable(1000)).toBe(false)
      await create({ expiresAt: Date.now() - 1 })
      expect(await keys.hasUsable(1000)).toBe(false)
      const { stored } = await create()
      expect(await keys.hasUsable(1000)).toBe(true)
      await keys.revoke(stored.id)
      expect(await keys.hasUsable(1000)).toBe(false)
    })

    test('count the requests of a key up to its limit, and none of a key without one', async () => {
      const { stored } = await create({ requestsPerMinute: 2 })
      const counts = [await keys.countRequest(stored), await keys.countRequest(stored), await keys.countRequest(stored)]
      expect(counts.map((count) => count?.remaining)).toEqual([1, 0, 0])
      expect(counts.map((count) => count?.exceeded)).toEqual([false, false, true])
      expect(await keys.countRequest((await create()).stored)).toBeNull()
    })
  })
}
