import type { ObjectStore } from '@vision-queue/blobs'
import { createLogLimit, type TransportLog } from '@vision-queue/redis'

import type { StoreCheck } from './health.ts'

/** How long a store that could be used is not asked again: readiness may be asked for each second, by each probe. */
const goodForMs = 10_000

/** Looks whether objects can be stored. What goes wrong is logged, each sentence once in a while. */
export function createStoreCheck(objects: Pick<ObjectStore, 'check'>, log: TransportLog): StoreCheck {
  const limit = createLogLimit()
  let goodUntil = -Infinity
  return async () => {
    if (performance.now() < goodUntil) return
    try {
      await objects.check()
      goodUntil = performance.now() + goodForMs
    } catch (error) {
      const { message } = error instanceof Error ? error : new Error(String(error))
      if (limit.admits(new Error(message))) log.warn({ error: message }, 'The store of images can not be used')
      throw error
    }
  }
}
