import { afterEach, expect, it, vi } from 'vitest'

import { askAll, closeUnrulyPools, openUnrulyPool } from '../test/unruly-pool.ts'

afterEach(closeUnrulyPools)

it('places its engines on the devices in turn, and tells of them', async () => {
  const pool = openUnrulyPool({ engines: 3, deviceIds: [4, 7] })
  const seen = new Set<unknown>()
  await vi.waitFor(
    async () => {
      for (const answer of await askAll(pool, ['device', 'device', 'device', 'device'])) seen.add(answer)
      expect(seen).toEqual(new Set([4, 7]))
    },
    { timeout: 30_000 },
  )
  expect(pool.stats().devices).toEqual([4, 7])
})
